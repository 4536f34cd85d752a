"""WAV, AIFF and DSF files with every shape of chunks."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence

from tests import media
from tests.id3_bytes import frame, genre_frame, some_frames, tag
from tests.other_bytes import chunk
from tests.shapes import Built, Shape

shapes: list[Shape] = []

ID3 = tag(3, [*some_frames(3), genre_frame(3, "(17)")])
BARE = tag(3, some_frames(3))


@functools.cache
def pcm() -> bytes:
    """Two seconds of 16-bit mono."""
    return media.master("wav").read_bytes()[4096 : 4096 + 88_200 * 2]


FMT = struct.pack("<HHIIHH", 1, 1, 44100, 88200, 2, 16)
EXTENSIBLE = (
    struct.pack("<HHIIHHHHI", 0xFFFE, 1, 44100, 88200, 2, 16, 22, 16, 4)
    + b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
)
INFO = b"INFO" + chunk(b"INAM", b"A title\0") + chunk(b"IGNR", b"Rock\0") + chunk(b"ICMT", b"odd\0")
INFO_BARE = b"INFO" + chunk(b"INAM", b"A title\0") + chunk(b"ICMT", b"odd\0")


def wav(
    name: str,
    chunks: Callable[[], Sequence[bytes]],
    *,
    behind: bytes = b"",
    size: int | None = None,
    form: bytes = b"RIFF",
    genres: tuple[str, ...] | None = (),
    refused: str | None = None,
    kept: Sequence[bytes] = (),
) -> None:
    def build() -> Built:
        body = b"WAVE" + b"".join(chunks())
        data = form + (len(body) if size is None else size).to_bytes(4, "little") + body + behind
        return Built(data, kept)

    shapes.append(Shape("wav-" + name, ".wav", build, genres, refused))


def fmt() -> bytes:
    return chunk(b"fmt ", FMT)


def sound() -> bytes:
    return chunk(b"data", pcm())


_BEXT = chunk(b"bext", b"description".ljust(602, b"\0") + b"coding history")
_CUE = chunk(b"cue ", struct.pack("<IIIIIII", 1, 1, 0, 0x61746164, 0, 0, 0))
for _word, _tag, _said in (("genre", ID3, ("Rock",)), ("none", BARE, ())):
    for _name in (b"id3 ", b"ID3 "):
        _label = f"{'upper' if _name == b'ID3 ' else 'lower'}-{_word}"
        wav(
            f"{_label}-behind", lambda n=_name, t=_tag: [fmt(), sound(), chunk(n, t)], genres=_said, kept=some_frames(3)
        )
        wav(
            f"{_label}-in-front",
            lambda n=_name, t=_tag: [fmt(), chunk(n, t), sound()],
            genres=_said,
            kept=some_frames(3),
        )
    wav(
        f"everything-{_word}",
        lambda t=_tag: [
            _BEXT,
            fmt(),
            chunk(b"LIST", INFO_BARE),
            sound(),
            _CUE,
            chunk(b"id3 ", t),
            chunk(b"odd!", b"123"),
        ],
        genres=_said,
        kept=[_BEXT, INFO_BARE, _CUE, *some_frames(3), chunk(b"odd!", b"123")],
    )
    wav(
        f"odd-sizes-{_word}",
        lambda t=_tag: [
            chunk(b"junk", b"1", pad=b"\xee"),
            fmt(),
            chunk(b"data", pcm()[:-1]),
            chunk(b"id3 ", t + b"x", pad=b"\x7f"),
        ],
        genres=None,
        kept=[b"\x01\0\0\0", *some_frames(3)],
    )
    wav(
        f"list-info-and-id3-{_word}",
        lambda t=_tag: [fmt(), sound(), chunk(b"LIST", INFO), chunk(b"id3 ", t)],
        genres=None,
    )
    wav(f"two-id3-{_word}", lambda t=_tag: [fmt(), chunk(b"id3 ", t), sound(), chunk(b"id3 ", BARE)], genres=None)
    wav(f"padded-id3-{_word}", lambda t=_tag: [fmt(), sound(), chunk(b"id3 ", _padded(t))], genres=_said)
    wav(
        f"junk-behind-{_word}", lambda t=_tag: [fmt(), sound(), chunk(b"id3 ", t)], behind=b"trailing junk", genres=None
    )


def _padded(data: bytes) -> bytes:
    return tag(3, [data[10:]], padding=500)


wav("plain", lambda: [fmt(), sound()])
wav("list-info", lambda: [fmt(), sound(), chunk(b"LIST", INFO)], genres=None, kept=[chunk(b"INAM", b"A title\0")])
wav(
    "list-info-in-front",
    lambda: [fmt(), chunk(b"LIST", INFO), sound()],
    genres=None,
    kept=[chunk(b"INAM", b"A title\0")],
)
wav("list-info-none", lambda: [fmt(), sound(), chunk(b"LIST", INFO_BARE)], kept=[INFO_BARE])
wav("list-adtl", lambda: [fmt(), sound(), _CUE, chunk(b"LIST", b"adtl" + chunk(b"labl", b"\1\0\0\0mark\0"))])
wav("extensible", lambda: [chunk(b"fmt ", EXTENSIBLE), chunk(b"fact", (88200).to_bytes(4, "little")), sound()])
wav("empty-id3", lambda: [fmt(), sound(), chunk(b"id3 ", b"")], genres=None)
wav("id3-no-tag", lambda: [fmt(), sound(), chunk(b"id3 ", b"not a tag at all")], genres=None, refused="something else")
wav("size-zero", lambda: [fmt(), sound()], size=0, genres=None)
wav("size-endless", lambda: [fmt(), sound()], size=0xFFFFFFFF, genres=None)
wav("size-short", lambda: [fmt(), sound(), chunk(b"id3 ", ID3)], size=100, genres=None)
wav("data-endless", lambda: [fmt(), b"data\xff\xff\xff\xff" + pcm()], size=0xFFFFFFFF, genres=None)
wav("data-zero", lambda: [fmt(), b"data\0\0\0\0" + pcm()], genres=None)
wav("no-last-pad", lambda: [fmt(), b"data" + (len(pcm()) - 1).to_bytes(4, "little") + pcm()[:-1]], genres=None)
wav(
    "rf64",
    lambda: [chunk(b"ds64", struct.pack("<QQQI", 176_500, 176_400, 88_200, 0)), fmt(), b"data\xff\xff\xff\xff" + pcm()],
    size=0xFFFFFFFF,
    form=b"RF64",
    genres=None,
    refused="RF64",
)

# --- AIFF ---

COMM = struct.pack(">HIH", 1, 88_200, 16) + b"\x40\x0e\xac\x44\0\0\0\0\0\0"
iff = functools.partial(chunk, order="big")
_OTHERS = [
    iff(b"NAME", b"A title"),
    iff(b"AUTH", b"An artist"),
    iff(b"ANNO", b"odd"),
    iff(b"COMT", struct.pack(">HIHH", 1, 0, 0, 5) + b"hello\0"),
    iff(b"MARK", struct.pack(">HHIB", 1, 1, 0, 3) + b"one"),
    iff(b"APPL", b"stoc" + bytes(range(200))),
]


def aiff(
    name: str,
    chunks: Callable[[], Sequence[bytes]],
    *,
    form: bytes = b"AIFF",
    behind: bytes = b"",
    genres: tuple[str, ...] | None = (),
    kept: Sequence[bytes] = (),
) -> None:
    def build() -> Built:
        body = form + b"".join(chunks())
        return Built(b"FORM" + len(body).to_bytes(4, "big") + body + behind, kept)

    shapes.append(Shape("aiff-" + name, ".aiff", build, genres))


def ssnd() -> bytes:
    return iff(b"SSND", bytes(8) + pcm())


for _word, _tag, _said in (("genre", ID3, ("Rock",)), ("none", BARE, ())):
    aiff(
        f"everything-{_word}",
        lambda t=_tag: [iff(b"COMM", COMM), *_OTHERS[:3], ssnd(), *_OTHERS[3:], iff(b"ID3 ", t), iff(b"odd!", b"1")],
        genres=_said,
        kept=[*_OTHERS, *some_frames(3), iff(b"odd!", b"1")],
    )
    aiff(
        f"id3-in-front-{_word}",
        lambda t=_tag: [iff(b"ID3 ", t), iff(b"COMM", COMM), ssnd()],
        genres=_said,
        kept=some_frames(3),
    )
    aiff(
        f"odd-pad-{_word}",
        lambda t=_tag: [iff(b"COMM", COMM), ssnd(), iff(b"ID3 ", t + bytes(1 - len(t) % 2), pad=b"\x55")],
        genres=_said,
    )
    aiff(
        f"junk-behind-{_word}",
        lambda t=_tag: [iff(b"COMM", COMM), ssnd(), iff(b"ID3 ", t)],
        behind=b"junk!",
        genres=None,
    )
    aiff(
        f"aifc-{_word}",
        lambda t=_tag: [
            iff(b"FVER", b"\xa2\x80\x51\x40"),
            iff(b"COMM", COMM + b"sowt\x04sowt\0"),
            ssnd(),
            iff(b"ID3 ", t),
        ],
        form=b"AIFC",
        genres=_said,
    )
aiff("plain", lambda: [iff(b"COMM", COMM), ssnd()])
aiff("two-id3", lambda: [iff(b"COMM", COMM), iff(b"ID3 ", BARE), ssnd(), iff(b"ID3 ", ID3)], genres=None)

# --- DSF: one-bit sound, with the place of the tag in its header ---


def dsf(name: str, front: bytes, *, genres: tuple[str, ...] | None) -> None:
    def build() -> Built:
        samples = b"\x69" * 4096 * 40
        fmt = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 1, 1, 2822400, 1, len(samples) * 8, 4096, 0)
        data = b"data" + struct.pack("<Q", 12 + len(samples)) + samples
        total = 28 + len(fmt) + len(data)
        head = b"DSD " + struct.pack("<QQQ", 28, total + len(front), total if front else 0)
        return Built(head + fmt + data + front, [samples])

    shapes.append(Shape("dsf-" + name, ".dsf", build, genres))


dsf("genre", tag(4, [*some_frames(4), genre_frame(4, "Rock")], padding=100), genres=("Rock",))
dsf("none", tag(3, [*some_frames(3), frame(3, "TCOM", b"\0x")]), genres=())
dsf("no-tag", b"", genres=())
