"""FLAC, Ogg Vorbis, Opus, Speex and Ogg FLAC files with every shape of Vorbis comments."""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import media
from tests.id3_bytes import PNG, some_frames, tag, text, v1
from tests.id3_bytes import frame as id3_frame
from tests.ogg_bytes import with_comment
from tests.other_bytes import comments, flac_block
from tests.shapes import Built, Shape

shapes: list[Shape] = []

PICTURE = struct.pack(">I", 3) + struct.pack(">I", 9) + b"image/png" + bytes(20) + struct.pack(">I", len(PNG)) + PNG
CUESHEET = (
    b"1234567890123".ljust(128, b"\0")
    + struct.pack(">QB258xB", 88200, 0x80, 2)
    + struct.pack(">QB12sB13xBQB3x", 0, 1, b"ABCDE1234567", 0, 1, 0, 1)
    + struct.pack(">QB12sB13xB", 588 * 1000, 170, b"", 0, 0)
)
SEEKTABLE = struct.pack(">QQH", 0, 0, 4096) + b"\xff" * 8 + bytes(10)

# name -> (comments, genres)
ENTRIES: dict[str, tuple[list[bytes], tuple[str, ...] | None]] = {
    "plain": ([b"TITLE=A title", b"GENRE=Rock", b"ARTIST=An artist"], ("Rock",)),
    "none": ([b"TITLE=A title", b"ARTIST=An artist"], ()),
    "no-entries": ([], ()),
    "lower-case": ([b"title=A title", b"genre=Rock"], ("Rock",)),
    "mixed-case": ([b"GeNrE=Rock", b"Title=x", b"genre=Pop"], ("Rock", "Pop")),
    "repeated": ([b"GENRE=Rock", b"TITLE=x", b"GENRE=Pop", b"GENRE=Rock"], ("Rock", "Pop", "Rock")),
    "empty-value": ([b"GENRE=", b"TITLE=", b"ARTIST="], None),
    "equals-in-value": ([b"COMMENT=a=b=c", b"GENRE=R=B", b"=nothing", b"X=="], ("R=B",)),
    "not-utf8": ([b"TITLE=\xff\xfe\x80", b"GENRE=R\xe9ggae", b"ARTIST=\xc3\x28"], None),
    "others-not-utf8": ([b"TITLE=\xff\xfe\x80", b"ARTIST=\xc3\x28"], ()),
    "no-equals": ([b"just words", b"GENRE=Rock", b"more words"], ("Rock",)),
    "odd-keys": ([b"GENRE =x", b" GENRE=y", b"GENRES=z", b"\xc3\x84=umlaut", b"A~B\x7f=1", b"GENRE_ID=7"], ()),
    "long-s": (["\u017fENRE=x".encode(), "GENRE\u0130=x".encode()], ()),
    "control": ([b"TITLE=a\0b\nc", b"GENRE=Rock\0Pop"], None),
    "many": ([b"KEY%04d=value %d" % (n, n) for n in range(3000)] + [b"GENRE=Rock"], ("Rock",)),
    "huge-value": ([b"LYRICS=" + b"la " * 400_000, b"GENRE=Rock", b"TITLE=x"], ("Rock",)),
    "non-ascii": (["GENRE=Électro 🎸".encode(), "TITLE=日本".encode()], ("Électro 🎸",)),
    "replaygain": ([b"REPLAYGAIN_TRACK_GAIN=-6.20 dB", b"R128_TRACK_GAIN=-1500"], ()),
    "picture": ([b"METADATA_BLOCK_PICTURE=" + base64.b64encode(PICTURE), b"GENRE=Rock"], ("Rock",)),
    "joined": ([b"GENRE=Rock; Pop"], None),
}


def _kept(entries: Sequence[bytes]) -> list[bytes]:
    return [struct.pack("<I", len(e)) + e for e in entries if e.partition(b"=")[0].lower() != b"genre"]


# --- FLAC ---


@functools.cache
def _flac() -> tuple[bytes, bytes]:
    """Return STREAMINFO (without block header) and the audio frames of a real file."""
    data = media.master("flac", media.clip(4)).read_bytes()
    at, info = 4, b""
    while True:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        info = info or data[at + 4 : at + 4 + size]
        at += 4 + size
        if kind & 0x80:
            return info, data[at:]


def _flac_file(blocks: Sequence[bytes]) -> bytes:
    info, frames = _flac()
    whole = [flac_block(0, info), *blocks]
    whole[-1] = bytes((whole[-1][0] | 0x80,)) + whole[-1][1:]
    return b"fLaC" + b"".join(whole) + frames


def add_flac(
    name: str,
    blocks: Callable[[], Sequence[bytes]],
    *,
    front: bytes = b"",
    behind: bytes = b"",
    kept: Callable[[], Sequence[bytes]] = tuple,
    genres: tuple[str, ...] | None = (),
    refused: str | None = None,
) -> None:
    def build() -> Built:
        data = front + _flac_file(blocks()) + behind
        return Built(data, (*kept(), _flac()[1]), trailing=bool(behind))

    shapes.append(Shape("flac-" + name, ".flac", build, genres, refused))


for _name, (_entries, _said) in ENTRIES.items():
    add_flac(
        "comments-" + _name,
        lambda entries=_entries: [flac_block(4, comments(entries)), flac_block(1, bytes(1000))],
        kept=functools.partial(_kept, _entries),
        genres=_said,
    )
_BASIC = flac_block(4, comments(ENTRIES["plain"][0]))
_BARE = flac_block(4, comments(ENTRIES["none"][0]))
_OTHERS = [
    flac_block(3, SEEKTABLE),
    flac_block(2, b"test" + bytes(range(256))),
    flac_block(5, CUESHEET),
    flac_block(6, PICTURE),
    flac_block(6, PICTURE.replace(b"\0\0\0\3", b"\0\0\0\4", 1)),
    flac_block(42, b"from the future"),
]
_in_order = [block[4:] for block in _OTHERS]
for _basic, _said in ((_BASIC, ("Rock",)), (_BARE, ())):
    _word = "genre" if _said else "none"
    for _where in (0, 3, len(_OTHERS)):
        for _padding in (None, 0, 7, 100_000):
            _pad = [] if _padding is None else [flac_block(1, bytes(_padding))]
            add_flac(
                f"every-block-{_word}-at-{_where}-padding-{_padding}",
                lambda where=_where, basic=_basic, pad=_pad: [*_OTHERS[:where], basic, *_OTHERS[where:], *pad],
                kept=lambda: _in_order,
                genres=_said,
            )
    add_flac(
        f"several-paddings-{_word}",
        lambda basic=_basic: [flac_block(1, bytes(64)), basic, flac_block(1, bytes(8)), _OTHERS[3], flac_block(1, b"")],
        kept=lambda: [PICTURE],
        genres=_said,
    )
    add_flac(
        f"padding-not-zero-{_word}",
        lambda basic=_basic: [basic, flac_block(1, b"hidden" + bytes(100))],
        genres=_said,
    )
    _id3 = tag(3, [*some_frames(3), id3_frame(3, "TCON", text("Rock"))])
    add_flac(f"id3-in-front-{_word}", lambda basic=_basic: [basic], front=_id3, genres=None)
    add_flac(
        f"id3-around-{_word}",
        lambda basic=_basic: [basic, flac_block(1, bytes(300))],
        front=_id3,
        behind=v1(genre=17),
        genres=None,
    )
add_flac("no-comments", lambda: _OTHERS[:3], kept=lambda: _in_order[:3])
add_flac("no-other-block", list)
add_flac("only-padding", lambda: [flac_block(1, bytes(5000))])
add_flac("two-comments", lambda: [_BASIC, _BARE], genres=None)
add_flac(
    "huge-picture",
    lambda: [_BASIC, flac_block(6, PICTURE[:-8] + PNG * 4000)],
    kept=lambda: [PNG * 4000],
    genres=("Rock",),
)
add_flac("comments-with-tail", lambda: [flac_block(4, comments([b"GENRE=Rock"]) + b"\x01tail")], genres=None)
add_flac(
    "comments-too-many-claimed",
    lambda: [flac_block(4, struct.pack("<I", 0) + struct.pack("<I", 99))],
    genres=None,
    refused="",
)

# --- Ogg ---

OGG = {
    "ogg-vorbis": (b"\x03vorbis", b"\x01"),
    "opus": (b"OpusTags", b""),
    "ogg-speex": (b"", b""),
    "ogg-flac": (b"", b""),
}


def _comment(kind: str, entries: Sequence[bytes], tail: bytes = b"") -> bytes:
    mark, end = OGG[kind]
    body = mark + comments(entries) + end + tail
    return flac_block(0x84, body) if kind == "ogg-flac" else body


def add_ogg(
    name: str,
    kind: str,
    entries: Sequence[bytes],
    genres: tuple[str, ...] | None,
    *,
    tail: bytes = b"",
    own_page: bool = False,
    wrap: Callable[[bytes], bytes] = lambda data: data,
) -> None:
    def build() -> Built:
        data = with_comment(
            media.master(kind, media.clip(4)).read_bytes(), _comment(kind, entries, tail), own_page=own_page
        )
        # A comment packet that fills more than one page is cut by page headers, so long comments are not listed.
        return Built(wrap(data), [piece for piece in _kept(entries) if len(piece) < 100] if len(entries) < 100 else ())

    suffix = media.ENCODERS[kind][0]
    shapes.append(Shape(f"{kind}-{name}", suffix, build, genres, None))


for _kind in OGG:
    for _name, (_entries, _said) in ENTRIES.items():
        if _kind in {"ogg-vorbis", "opus"} or _name in {"plain", "none", "many", "mixed-case", "not-utf8"}:
            add_ogg("comments-" + _name, _kind, _entries, _said)
    add_ogg("own-page", _kind, ENTRIES["plain"][0], ("Rock",), own_page=True)
    add_ogg("huge", _kind, [b"GENRE=Rock", b"LYRICS=" + b"x" * 200_000, b"TITLE=x"], ("Rock",), own_page=True)
    # Lengths around the border of a lacing value and of a page: growing by one byte moves what follows.
    for _length in (170, 171, 172, 64_870, 64_900, 65_000):
        add_ogg(f"border-{_length}", _kind, [b"GENRE=Rock", b"X=" + b"x" * _length], ("Rock",))
        add_ogg(f"border-{_length}-none", _kind, [b"X=" + b"x" * _length], ())
add_ogg("binary-suffix", "opus", ENTRIES["plain"][0], ("Rock",), tail=b"\x01binary data\xff\0")
add_ogg("binary-suffix-none", "opus", ENTRIES["none"][0], (), tail=b"\x01" + bytes(range(256)) * 300)
add_ogg("zero-suffix", "opus", ENTRIES["plain"][0], ("Rock",), tail=bytes(512))
add_ogg("id3-in-front", "ogg-vorbis", ENTRIES["none"][0], None, wrap=lambda data: tag(3, some_frames(3)) + data)
add_ogg("junk-behind", "ogg-vorbis", ENTRIES["none"][0], None, wrap=lambda data: data + b"junk" * 20)
add_ogg("v1-behind", "ogg-vorbis", ENTRIES["none"][0], None, wrap=lambda data: data + v1(genre=17))


def _ffmpeg(name: str, suffix: str, *arguments: str | Path, genres: tuple[str, ...] | None = ()) -> None:
    @functools.cache
    def data() -> bytes:
        with TemporaryDirectory() as folder:
            out = Path(folder) / ("out" + suffix)
            media.ffmpeg(*arguments, "-metadata", "title=A title", out)
            return out.read_bytes()

    shapes.append(Shape(name, suffix, lambda: Built(data()), genres))


def _chained(name: str, kind: str, *genres: str | None, said: tuple[str, ...] | None) -> None:
    def build() -> Built:
        parts = [
            _serial(
                with_comment(
                    media.master(kind, media.clip(4)).read_bytes(),
                    _comment(kind, [b"TITLE=x", *([b"GENRE=" + g.encode()] if g else [])]),
                ),
                number,
            )
            for number, g in enumerate(genres, 1)
        ]
        return Built(b"".join(parts))

    shapes.append(Shape(name, media.ENCODERS[kind][0], build, said))


def _serial(data: bytes, serial: int) -> bytes:
    from dataclasses import replace

    from tests.ogg_bytes import pages

    return b"".join(bytes(replace(page, serial=serial)) for page in pages(data, check=False))


_chained("ogg-chained", "ogg-vorbis", "Rock", None, said=None)
_chained("ogg-chained-none", "ogg-vorbis", None, None, None, said=None)
_chained("opus-chained", "opus", "Rock", "Pop", said=None)
_ffmpeg("ogg-two-streams", ".ogg", "-i", media.JAZZ, "-map", "0:a", "-map", "0:a", "-c:a", "libvorbis")
_ffmpeg(
    "ogg-vorbis-and-opus",
    ".ogg",
    "-i",
    media.JAZZ,
    "-map",
    "0:a",
    "-map",
    "0:a",
    "-c:a:0",
    "libvorbis",
    "-c:a:1",
    "libopus",
)
_ffmpeg(
    "ogg-with-video", ".ogg", "-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=3", "-i", media.JAZZ,
    "-t", "3", "-c:v", "libtheora", "-c:a", "libvorbis", genres=None,
)  # fmt: skip
