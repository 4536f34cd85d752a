"""MP3 files with every shape of tags that taggers leave around the audio."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Sequence

from mutagen.id3 import Frames, Frames_2_2

from tests import media
from tests.id3_bytes import (
    PNG,
    SYNCS,
    frame,
    genre_frame,
    lyrics3_v1,
    lyrics3_v2,
    other_frames,
    some_frames,
    syncsafe,
    tag,
    text,
    unsynced,
    v1,
    v1_enhanced,
)
from tests.other_bytes import ape_item, ape_tag
from tests.shapes import Built, Shape

V24_ONLY = {"ASPI", "EQU2", "RVA2", "SEEK", "SIGN", "TDEN", "TDOR", "TDRC", "TDRL", "TDTG", "TIPL", "TMCL", "TMOO"}
V24_ONLY |= {"TPRO", "TSOA", "TSOP", "TSOT", "TSST"}
V23_ONLY = {"IPLS", "RVAD", "TDAT", "TIME", "TORY", "TRDA", "TSIZ", "TYER"}
# Apple's and others' own; names that no standard has; ID3v2.2 names padded into v2.3 as old iTunes did.
UNKNOWN = ("XSOP", "XDOR", "NCON", "RGAD", "ZZZZ", "TZZZ", "WZZZ", "Z123")
GENRES = {"TCON", "TCO"}

shapes: list[Shape] = []


@functools.cache
def audio() -> bytes:
    """A few seconds of MP3 without any tag."""
    return media.master("mp3-bare").read_bytes()[:120_000]


def add(
    name: str,
    front: Callable[[], Sequence[bytes]],
    *,
    behind: Callable[[], Sequence[bytes]] = tuple,
    kept: Callable[[], Sequence[bytes]] = tuple,
    genres: tuple[str, ...] | None = (),
    refused: str | None = None,
) -> None:
    """Register a file of tags, audio, tags; `kept` are the stretches before the audio that must survive."""

    def build() -> Built:
        data = b"".join((*front(), audio(), *behind()))
        return Built(data, (*kept(), audio()), trailing=bool(behind()))

    shapes.append(Shape("mp3-" + name, ".mp3", build, genres, refused))


def names(version: int) -> list[str]:
    if version == 2:
        return sorted(set(Frames_2_2) - GENRES)
    wrong = V24_ONLY if version == 3 else V23_ONLY
    return sorted(set(Frames) - GENRES - wrong)


def _tagged(name: str, version: int, frames: Callable[[], list[bytes]], **options: object) -> None:
    """Register a shape with a genre frame in the middle, and one without any."""
    value = "(17)" if version < 4 else "17"

    def middle() -> list[bytes]:
        others = frames()
        half = len(others) // 2
        return [*others[:half], genre_frame(version, value), *others[half:]]

    add(f"{name}-genre", lambda: [tag(version, middle(), **options)], kept=frames, genres=("Rock",))
    add(f"{name}-none", lambda: [tag(version, frames(), **options)], kept=frames)


for number in (2, 3, 4):
    some = functools.partial(some_frames, number)
    _tagged(f"v2{number}-every-frame", number, functools.partial(other_frames, number, names(number)))
    _tagged(f"v2{number}-padded", number, some, padding=2048)
    _tagged(f"v2{number}-padding-1", number, some, padding=1)
    _tagged(f"v2{number}-padding-huge", number, some, padding=300_000)
    add(f"v2{number}-empty", lambda number=number: [tag(number, [])])
    add(f"v2{number}-only-padding", lambda number=number: [tag(number, [], padding=100)])

for number in (3, 4):
    unknown = [frame(number, name, b"\0whatever " + SYNCS[:6]) for name in UNKNOWN]
    _tagged(f"v2{number}-unknown-frames", number, lambda unknown=unknown: unknown)
    _tagged(
        f"v2{number}-frames-of-the-other-version",
        number,
        lambda number=number: other_frames(number, sorted(V24_ONLY if number == 3 else V23_ONLY)),
    )
    _tagged(
        f"v2{number}-zero-length-frames",
        number,
        lambda number=number: [frame(number, "TPE4", b""), *some_frames(number), frame(number, "TIT3", b"")],
    )
_tagged("v22-unknown-frames", 2, lambda: [frame(2, "XYZ", b"whatever"), *some_frames(2), frame(2, "TZZ", b"\0x")])
_tagged(
    "v23-names-of-v22", 3, lambda: [frame(3, n + "\0", text("x")) for n in ("TT2", "TP1")] + [frame(3, "TCM ", b"\0x")]
)

# --- unsynchronisation ---


def _sync_frames(version: int) -> list[bytes]:
    short = version == 2
    picture = b"\0PNG\x03\0" if short else b"\0image/png\0\x03\0"
    return [
        frame(version, "PIC" if short else "APIC", picture + PNG + SYNCS * 20),
        frame(version, "UFI" if short else "PRIV", b"owner\0" + SYNCS),
    ]


for number in (2, 3):
    last = unsynced(b"".join(_sync_frames(number)))
    add(
        f"v2{number}-unsynchronised-genre",
        lambda number=number: [
            tag(number, [genre_frame(number, "Rock"), *_sync_frames(number)], unsync=True, padding=50)
        ],
        kept=lambda last=last: [last[:-1]],
        genres=("Rock",),
    )
    add(
        f"v2{number}-unsynchronised-utf16",
        lambda number=number: [tag(number, [*_sync_frames(number), genre_frame(number, "Rock", 1)], unsync=True)],
        kept=lambda last=last: [last[:-1]],
        genres=("Rock",),
    )
    add(
        f"v2{number}-unsynchronised-none",
        lambda number=number: [tag(number, _sync_frames(number), unsync=True)],
        kept=lambda last=last: [last[:-1]],
    )
_unsync_frame = frame(4, "APIC", syncsafe(len(SYNCS) + 14) + unsynced(b"\0image/png\0\x03\0" + SYNCS), flags=0x0003)
_unsync_genre = frame(4, "TCON", unsynced(text("Rock", 1)), flags=0x0002)
add(
    "v24-unsynchronised-frames",
    lambda: [tag(4, [_unsync_frame, _unsync_genre, *some_frames(4)])],
    kept=lambda: [_unsync_frame, *some_frames(4)],
    genres=("Rock",),
)
add(
    "v24-unsynchronised-tag",
    lambda: [tag(4, [_unsync_frame, _unsync_genre, _unsync_frame], unsync=True)],
    kept=lambda: [_unsync_frame, _unsync_frame],
    genres=("Rock",),
)
add(
    "v24-unsynchronised-tag-without-frame-flags",
    lambda: [tag(4, [genre_frame(4, "Rock"), frame(4, "PRIV", unsynced(b"o\0" + SYNCS))], unsync=True)],
    kept=lambda: [frame(4, "PRIV", unsynced(b"o\0" + SYNCS))],
    genres=("Rock",),
)
add(
    "v24-unsynchronised-none",
    lambda: [tag(4, [_unsync_frame], unsync=True)],
    kept=lambda: [_unsync_frame],
)

# --- extended headers, footers ---


def _extended(version: int, frames: bytes, *, padding: int = 0, right: bool = True) -> bytes:
    """Return an extended header with everything in it: checksum (`right` or wrong), and for v2.4 restrictions."""
    crc = zlib.crc32(frames + (bytes(padding) if version == 4 else b"")) ^ (0 if right else 0x55)
    if version == 3:
        return (10).to_bytes(4, "big") + b"\x80\0" + padding.to_bytes(4, "big") + crc.to_bytes(4, "big")
    packed = bytes(crc >> shift & 0x7F for shift in (28, 21, 14, 7, 0))
    return syncsafe(15) + b"\x01\x70" + b"\0" + b"\x05" + packed + b"\x01\x55"


for number in (3, 4):
    for right in (True, False):
        for value in ("Rock", None):
            add(
                f"v2{number}-extended-{'right' if right else 'wrong'}-checksum-{value or 'none'}".lower(),
                lambda number=number, right=right, value=value: [
                    tag(
                        number,
                        frames := [*some_frames(number), *([genre_frame(number, value)] if value else [])],
                        extended=_extended(number, b"".join(frames), padding=200, right=right),
                        padding=200,
                    )
                ],
                kept=functools.partial(some_frames, number),
                genres=(value,) if value else (),
            )
_tagged("v23-extended-plain", 3, functools.partial(some_frames, 3), extended=b"\0\0\0\x06\0\0\0\0\0\0")
_tagged("v24-extended-update", 4, functools.partial(some_frames, 4), extended=syncsafe(7) + b"\x01\x40\0")
_tagged("v24-footer", 4, functools.partial(some_frames, 4), footer=True)
add(
    "v23-extended-unsynchronised",
    lambda: [tag(3, [genre_frame(3, "Rock", 1), *_sync_frames(3)], extended=b"\0\0\0\x06\0\0\0\0\0\0", unsync=True)],
    kept=lambda: [unsynced(b"".join(_sync_frames(3)))[:-1]],
    genres=("Rock",),
)

# --- several tags, appended tags, other kinds of tags ---

_one = functools.partial(some_frames, 3)
_two = functools.partial(some_frames, 4)
add(
    "two-tags-in-front",
    lambda: [tag(3, [*_one(), genre_frame(3, "Rock")], padding=30), tag(4, [*_two(), genre_frame(4, "Pop")])],
    kept=lambda: [*_one(), *_two()],
    genres=None,
)
add("two-same-tags", lambda: [tag(3, _one()), tag(3, _one())], kept=lambda: [*_one(), *_one()])
add(
    "three-tags",
    lambda: [tag(2, some_frames(2)), tag(3, [genre_frame(3, "(8)")]), tag(4, _two(), footer=True)],
    kept=lambda: [*some_frames(2), *_two()],
    genres=None,
)
add("genre-only-in-second-tag", lambda: [tag(3, _one()), tag(3, [genre_frame(3, "Pop")])], kept=_one, genres=None)
add(
    "appended-only",
    list,
    behind=lambda: [tag(4, [*_two(), genre_frame(4, "Rock")], footer=True)],
    genres=("Rock",),
)
add(
    "appended-with-seek",
    lambda: [tag(4, [*_two(), frame(4, "SEEK", len(audio()).to_bytes(4, "big"))])],
    behind=lambda: [tag(4, [*_two(), genre_frame(4, "Rock")], footer=True)],
    kept=_two,
    genres=None,
)
add(
    "appended-before-v1",
    lambda: [tag(4, _two())],
    behind=lambda: [tag(4, [genre_frame(4, "Rock"), *_two()], footer=True), v1(genre=8)],
    kept=_two,
    genres=None,
)
for byte, said in (
    (255, ()),
    (17, ("Rock",)),
    (0, ("Blues",)),
    (81, ("Folk-Rock",)),
    (191, ("Psybient",)),
    (200, None),
):
    add(f"v1-only-{byte}", list, behind=lambda byte=byte: [v1(genre=byte)], genres=said)
add("v1-track", list, behind=lambda: [v1(genre=17, comment=b"comment".ljust(28, b"\0") + b"\0\x07")], genres=("Rock",))
add("v1-spaces", list, behind=lambda: [v1(genre=17, title=b"x".ljust(30), comment=b" " * 30)], genres=("Rock",))
add("v1-enhanced", list, behind=lambda: [v1_enhanced(b"Rock"), v1(genre=17)], genres=None)
add("v1-twice", list, behind=lambda: [v1(genre=17), v1(genre=8)], genres=None)

_items = [
    ape_item("Title", "A title"),
    ape_item("Cover Art (Front)", b"cover.png\0" + PNG, kind=1),
    ape_item("MP3GAIN_MINMAX", "1,2"),
]
_rock = ape_item("Genre", "Rock")
add(
    "v1-v2-ape",
    lambda: [tag(3, [*_one(), genre_frame(3, "Rock")])],
    behind=lambda: [ape_tag([*_items, _rock]), v1(genre=17)],
    kept=_one,
    genres=("Rock",),
)
add("v2-ape-without-genre", lambda: [tag(3, _one())], behind=lambda: [ape_tag(_items)], kept=_one)
add("ape-only", list, behind=lambda: [ape_tag([*_items, _rock])], genres=("Rock",))
add("ape-without-header", list, behind=lambda: [ape_tag([*_items, _rock], header=False)], genres=("Rock",))
add("ape-behind-v1", lambda: [tag(3, _one())], behind=lambda: [v1(genre=17), ape_tag([_rock])], kept=_one, genres=None)
add("ape-in-front", lambda: [ape_tag([*_items, _rock])], genres=None, refused="in front")
add("ape-v1", list, behind=lambda: [ape_tag([*_items, _rock], version=1000, header=False), v1()], genres=("Rock",))
add("lyrics3-v1", lambda: [tag(3, _one())], behind=lambda: [lyrics3_v1(), v1(genre=17)], kept=_one, genres=("Rock",))
add("lyrics3-v2", lambda: [tag(3, _one())], behind=lambda: [lyrics3_v2(), v1(genre=17)], kept=_one, genres=("Rock",))
add(
    "everything-behind",
    lambda: [tag(4, _two())],
    behind=lambda: [tag(4, _two(), footer=True), ape_tag([*_items, _rock]), lyrics3_v2(), v1_enhanced(), v1(genre=17)],
    kept=_two,
    genres=None,
)
add("ape-lyrics3-v1", list, behind=lambda: [ape_tag(_items), lyrics3_v2(), v1()])
add("lyrics3-ape-v1", list, behind=lambda: [lyrics3_v2(), ape_tag(_items), v1()])

# --- padding, junk, size ---

add(
    "junk-after-tag",
    lambda: [tag(3, [*_one(), genre_frame(3, "Rock")]), b"junk \0\0" * 50],
    kept=_one,
    genres=("Rock",),
)
add("zeros-after-tag", lambda: [tag(3, [*_one(), genre_frame(3, "Rock")]), bytes(3000)], kept=_one, genres=("Rock",))
add(
    "junk-in-padding",
    lambda: [tag(3, [*_one(), genre_frame(3, "Rock"), bytes(20) + b"not zero" + bytes(500)])],
    kept=_one,
    genres=("Rock",),
)
add("junk-in-padding-none", lambda: [tag(3, [*_one(), bytes(20) + b"not zero" + bytes(500)])], kept=_one)
add("lower-case-frame", lambda: [tag(3, [*_one(), frame(3, "tcon", b"\0Rock")])], kept=_one, genres=None)
add("frame-beyond-tag", lambda: [tag(3, [genre_frame(3, "Rock"), frame(3, "TIT2", b"\0x", claim=5000)])], genres=None)
add(
    "huge-art",
    lambda: [tag(3, [frame(3, "APIC", b"\0image/png\0\x03\0" + PNG * 5000), genre_frame(3, "Rock")])],
    genres=("Rock",),
)
add(
    "itunes-sizes",
    lambda: [tag(4, [*_wide(), frame(4, "TCON", text("Rock"), wide=True)])],
    kept=lambda: _wide(),
    genres=("Rock",),
)
add("itunes-sizes-none", lambda: [tag(4, _wide(), padding=100)], kept=lambda: _wide())
add(
    "itunes-sizes-with-sync-look",
    lambda: [tag(4, [*_wide(256), genre_frame(4, "Rock")])],
    kept=lambda: _wide(256),
    genres=None,
)


def _wide(size: int = 300) -> list[bytes]:
    return [frame(4, "PRIV", b"owner\0" + b"x" * (size - 6), wide=True), frame(4, "TIT2", text("A title"), wide=True)]


# --- forms of the genre itself ---

FORMS: dict[str, tuple[bytes, tuple[str, ...] | None]] = {
    "number": (b"\x0013", ("Pop",)),
    "bracketed": (b"\0(13)", ("Pop",)),
    "refined": (b"\0(4)Eurodisco", ("Disco", "Eurodisco")),
    "several-numbers": (b"\0(31)(39)", ("Trance", "Noise")),
    "remix-cover": (b"\0(RX)(CR)", ("Remix", "Cover")),
    "escaped": (b"\0((Foo)", ("(Foo)",)),
    "unknown-number": (b"\0(250)", None),
    "slash": (b"\0Rock/Pop", None),
    "comma": (b"\0Rock, Pop", None),
    "joined": (b"\0Rock; Pop", None),
    "endless-number": (b"\0" + b"1" * 5000, None),
    "line-break": (b"\0Rock\nPop", None),
    "trailing-nuls": (b"\0Rock\0\0\0", ("Rock",)),
    "spaces": (b"\0 Rock ", None),
    "only-encoding": (b"\0", ()),
    "nothing": (b"", ()),
    "only-nuls": (b"\0\0\0\0", ()),
    "latin1": ("\0Électronique".encode("latin-1"), ("Électronique",)),
    "cp1251": (b"\0\xd0\xee\xea", None),
    "utf16-le": (b"\x01\xff\xfeR\0o\0c\0k\0", ("Rock",)),
    "utf16-be": (b"\x01\xfe\xff\0R\0o\0c\0k", ("Rock",)),
    "utf16-no-mark": (b"\x01R\0o\0c\0k\0", None),
    "utf16-terminated": (b"\x01\xff\xfeR\0o\0c\0k\0\0\0", ("Rock",)),
    "utf16-odd": (b"\x01\xff\xfeR\0o\0c\0k\0\0", ("Rock",)),
    "utf16-surrogate": (b"\x01\xff\xfe\x00\xd8R\0", None),
    "utf16-emoji": (b"\x01" + "\ufeffRöck 🎸".encode("utf-16-le"), ("Röck 🎸",)),
    "utf16be-plain": (b"\x02\0R\0o\0c\0k", ("Rock",)),
    "utf8": ("\x03Rœck".encode(), ("Rœck",)),
    "utf8-broken": (b"\x03Ro\xff\xfeck", None),
    "bad-encoding": (b"\x09Rock", None),
    "several": (b"\0Rock\0Pop", None),
    "several-utf16": (b"\x01\xff\xfeR\0\0\0\xff\xfeP\0", None),
    "long": (b"\0" + b"Rock" * 5000, None),
}
REFUSED = {"bad-encoding": "unknown encoding", "endless-number": "damaged"}
for _form, (_body, _said) in FORMS.items():
    for number in (2, 3, 4):
        _name = "TCO" if number == 2 else "TCON"
        add(
            f"v2{number}-genre-{_form}",
            lambda number=number, name=_name, body=_body: [
                tag(number, [*some_frames(number), frame(number, name, body)], padding=20)
            ],
            kept=functools.partial(some_frames, number),
            genres=_said,
            refused=REFUSED.get(_form),
        )
for number in (2, 3, 4):
    add(
        f"v2{number}-two-genre-frames",
        lambda number=number: [
            tag(number, [genre_frame(number, "Rock"), *some_frames(number), genre_frame(number, "Pop", 1)])
        ],
        kept=functools.partial(some_frames, number),
        genres=("Rock", "Pop"),
    )
add("v24-nul-separated", lambda: [tag(4, [genre_frame(4, "Rock\0Pop\x0017", 3)])], genres=("Rock", "Pop", "Rock"))
add("v23-nul-separated", lambda: [tag(3, [genre_frame(3, "Rock\0Pop")])], genres=None)

# --- wrapped frames: compressed, encrypted, grouped ---

_deflated = zlib.compress(text("Rock"))
_art = zlib.compress(b"\0image/png\0\x03\0" + PNG)


def _wrapped(name: str, version: int, genre: bytes, *, flags: int, refused: str | None = None) -> None:
    others = [
        frame(version, "TIT2", text("A title")),
        frame(version, "APIC", b"\0\0\2\0" + _art, flags=0x80 if version == 3 else 0x09),
    ]
    add(
        f"v2{version}-{name}",
        lambda: [tag(version, [*others, frame(version, "TCON", genre, flags=flags)], padding=64)],
        kept=lambda: others,
        genres=("Rock",) if refused is None else None,
        refused=refused,
    )


_wrapped("compressed-genre", 3, b"\0\0\0\5" + _deflated, flags=0x0080)
_wrapped("compressed-genre", 4, syncsafe(5) + _deflated, flags=0x0009)
_wrapped("length-marked-genre", 4, syncsafe(5) + text("Rock"), flags=0x0001)
_wrapped("grouped-genre", 3, b"\x81" + text("Rock"), flags=0x0020)
_wrapped("grouped-genre", 4, b"\x81" + text("Rock"), flags=0x0040)
_wrapped("grouped-compressed-genre", 3, b"\0\0\0\5\x81" + _deflated, flags=0x00A0)
_wrapped("grouped-compressed-genre", 4, b"\x81" + syncsafe(5) + _deflated, flags=0x0049)
_wrapped("read-only-genre", 3, text("Rock"), flags=0xE000)
_wrapped("read-only-genre", 4, text("Rock"), flags=0x7000)
_wrapped("encrypted-genre", 3, b"\x80" + text("Rock"), flags=0x0040, refused="encrypted")
_wrapped("encrypted-genre", 4, b"\x80" + text("Rock"), flags=0x0004, refused="encrypted")
_wrapped("damaged-compressed-genre", 3, b"\0\0\0\5not deflate", flags=0x0080, refused="damaged")
for number in (3, 4):
    _sealed = [
        frame(number, "TIT2", b"\x80secret", flags=0x0040 if number == 3 else 0x0004),
        frame(number, "TPE1", b"\x81" + text("group"), flags=0x0020 if number == 3 else 0x0040),
        frame(number, "TALB", b"\0\0\0\5broken deflate", flags=0x0080 if number == 3 else 0x0009),
    ]
    _tagged(f"v2{number}-sealed-others", number, lambda sealed=_sealed: sealed)

# --- what must not be touched at all ---

add("v25", lambda: [b"ID3\x05\0\0" + syncsafe(20) + bytes(20)], genres=None, refused="ID3v2.5")
add("v22-compressed-tag", lambda: [tag(2, some_frames(2), flags=0x40)], genres=None, refused="compressed")
add("extended-beyond-tag", lambda: [tag(3, [], extended=b"\0\0\xff\xff\0\0\0\0\0\0")], genres=None, refused="extended")
