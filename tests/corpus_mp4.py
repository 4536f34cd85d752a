"""MP4 files with every shape of metadata atoms, and with the audio before and after them.

References
----------
ISO/IEC 14496-12; Apple, QuickTime File Format: metadata; Nero chapters (chpl).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import media
from tests.id3_bytes import PNG
from tests.other_bytes import atom, full
from tests.shapes import Built, Shape

shapes: list[Shape] = []

INSIDE = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"edts", b"dinf", b"moof", b"traf", b"mvex"}


def atoms(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield name, start, start of content and end of each atom of one level."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:
            size = end - start
        assert head <= size <= end - start, f"{name!r} at {start} leaves its parent"
        yield name, start, start + head, start + size
        start += size


def moved(moov: bytes, by: int) -> bytes:
    """Return a moov atom whose chunk offsets are all shifted."""
    out = bytearray(moov)

    def walk(start: int, end: int) -> None:
        for name, _, content, stop in atoms(moov, start, end):
            if name in INSIDE:
                walk(content, stop)
            elif name in (b"stco", b"co64"):
                form = ">I" if name == b"stco" else ">Q"
                width = struct.calcsize(form)
                for at in range(
                    content + 8, content + 8 + width * struct.unpack_from(">I", moov, content + 4)[0], width
                ):
                    struct.pack_into(form, out, at, struct.unpack_from(form, moov, at)[0] + by)

    walk(0, len(moov))
    return bytes(out)


def widened(moov: bytes) -> bytes:
    """Return a moov atom with 64-bit chunk offsets in place of 32-bit ones."""

    def walk(start: int, end: int) -> bytes:
        parts = []
        for name, begin, content, stop in atoms(moov, start, end):
            if name == b"stco":
                count = struct.unpack_from(">I", moov, content + 4)[0]
                offsets = struct.unpack_from(f">{count}I", moov, content + 8)
                parts.append(full(b"co64", struct.pack(f">I{count}Q", count, *offsets)))
            elif name in INSIDE:
                parts.append(atom(name, walk(content, stop)))
            else:
                parts.append(moov[begin:stop])
        return b"".join(parts)

    return walk(0, len(moov))


@functools.cache
def audio_atoms(kind: str, *arguments: str) -> dict[bytes, bytes]:
    """Return the top-level atoms of a real file; moov without its udta."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "out.m4a"
        media.ffmpeg("-i", media.master(kind, media.clip(4)), "-c", "copy", "-map_metadata", "-1", *arguments, out)
        data = out.read_bytes()
    tops = {name: data[start:end] for name, start, _, end in atoms(data)}
    moov = tops[b"moov"]
    parts = [moov[start:end] for name, start, _, end in atoms(moov, 8) if name != b"udta"]
    offset = data.index(tops[b"mdat"])
    tops[b"moov"] = moved(atom(b"moov", *parts), -offset)  # offsets relative to the start of mdat
    return tops


def item(name: bytes, value: bytes, *, kind: int = 1, more: bytes = b"") -> bytes:
    return atom(name, atom(b"data", struct.pack(">II", kind, 0), value), more)


def freeform(name: str, *values: str, mean: str = "com.apple.iTunes") -> bytes:
    data = [atom(b"data", struct.pack(">II", 1, 0), value.encode()) for value in values]
    return atom(b"----", full(b"mean", mean.encode()), full(b"name", name.encode()), *data)


HDLR = full(b"hdlr", bytes(4) + b"mdirappl" + bytes(9))
OTHERS = [
    item(b"\xa9nam", b"A title"),
    item(b"\xa9ART", b"An artist"),
    item(b"covr", PNG, kind=14),
    item(b"trkn", b"\0\0\0\3\0\x0c\0\0", kind=0),
    item(b"cpil", b"\1", kind=21),
    freeform("MusicBrainz Track Id", "0f5d1c6c-8d9b-4d3a-8cfd-5f2f0c2b6b1c"),
    freeform("LABELS", "one", "two"),
    freeform("GENRE", "not this one", mean="org.example"),
    item(b"\xa9xyz", b"unknown"),
    atom(b"zzzz", b"not even data"),
]
GENRE = item(b"\xa9gen", b"Rock")


def meta(items: Sequence[bytes], *, more: bytes = b"") -> bytes:
    return full(b"meta", HDLR, atom(b"ilst", *items), more)


def add(
    name: str,
    udta: Callable[[], bytes],
    *,
    kind: str = "m4a-aac",
    order: str = "mdat-moov",
    between: bytes = b"",
    behind: bytes = b"",
    long: bool = False,
    endless: bool = False,
    wide: bool = False,
    genres: tuple[str, ...] | None = ("Rock",),
    refused: str | None = None,
    kept: Sequence[bytes] = (),
) -> None:
    """Register a file; offsets are made right for where mdat comes to stand."""

    def build() -> Built:
        tops = audio_atoms(kind)
        payload = tops[b"mdat"][8:]
        mdat = atom(b"mdat", payload, long=long)
        if endless:
            mdat = bytes(4) + mdat[4:]
        moov = tops[b"moov"]
        moov = atom(b"moov", (widened(moov) if wide else moov)[8:], udta())
        before = len(tops[b"ftyp"]) + (len(moov) + len(between) if order == "moov-mdat" else 0)
        moov = moved(moov, before + (8 if long else 0))
        body = moov + between + mdat if order == "moov-mdat" else mdat + between + moov
        return Built(tops[b"ftyp"] + body + behind, [*kept] if order == "mdat-moov" else [*kept, payload])

    shapes.append(Shape("mp4-" + name, ".m4a", build, genres, refused))


def _udta(*items: bytes, more: bytes = b"", behind: bytes = b"") -> Callable[[], bytes]:
    return lambda: atom(b"udta", meta(items, more=more), behind)


_FREE = atom(b"free", bytes(2000))
for _word, _items, _said in (("genre", [*OTHERS[:4], GENRE, *OTHERS[4:]], ("Rock",)), ("none", OTHERS, ())):
    for _order in ("mdat-moov", "moov-mdat"):
        for _pad in (0, 8, 2000):
            add(
                f"{_word}-{_order}-free-{_pad}",
                _udta(*_items, more=atom(b"free", bytes(_pad - 8)) if _pad else b""),
                order=_order,
                genres=_said,
                kept=OTHERS,
            )
        add(f"{_word}-{_order}-free-between", _udta(*_items), order=_order, between=_FREE, genres=_said, kept=OTHERS)
        add(f"{_word}-{_order}-alac", _udta(*_items), order=_order, kind="m4a-alac", genres=_said, kept=OTHERS)
        add(f"{_word}-{_order}-co64", _udta(*_items), order=_order, wide=True, genres=_said, kept=OTHERS)
        add(f"{_word}-{_order}-64-bit-mdat", _udta(*_items), order=_order, long=True, genres=_said, kept=OTHERS)
    add(f"{_word}-endless-mdat", _udta(*_items), order="moov-mdat", endless=True, genres=_said, kept=OTHERS)
    add(f"{_word}-junk-behind", _udta(*_items), behind=atom(b"uuid", b"x" * 16, b"mine"), genres=_said, kept=OTHERS)
    add(f"{_word}-free-behind", _udta(*_items), behind=_FREE, genres=_said, kept=OTHERS)

add(
    "two-values",
    _udta(item(b"\xa9gen", b"Rock", more=atom(b"data", struct.pack(">II", 1, 0), b"Pop"))),
    genres=("Rock", "Pop"),
)
add("two-genre-atoms", _udta(GENRE, OTHERS[0], item(b"\xa9gen", b"Pop")), genres=None)
add("gnre", _udta(OTHERS[0], item(b"gnre", b"\0\x12", kind=0)))
add("gnre-and-text", _udta(item(b"gnre", b"\0\x09", kind=0), OTHERS[0], GENRE), genres=None)
add("gnre-unknown", _udta(item(b"gnre", b"\x0f\xff", kind=0)), genres=None)
add("gnre-odd-size", _udta(item(b"gnre", b"\x12", kind=0)), genres=None)
add("implicit-type", _udta(item(b"\xa9gen", b"Rock", kind=0)))
add("utf16", _udta(item(b"\xa9gen", "Rock".encode("utf-16-be"), kind=2)), genres=None)
add("not-utf8", _udta(item(b"\xa9gen", b"R\xe9ggae")), genres=None)
add("empty-value", _udta(item(b"\xa9gen", b"")), genres=None)
add("genre-with-name", _udta(item(b"\xa9gen", b"Rock", more=atom(b"name", b"\0\0\0\0x"))), genres=None)
add("genre-without-data", _udta(atom(b"\xa9gen"), OTHERS[0]), genres=None)
add("genre-freeform", _udta(freeform("GENRE", "Rock"), OTHERS[0]), genres=None)
add("freeform-without-data", _udta(atom(b"----", full(b"mean", b"a"), full(b"name", b"b")), GENRE))
add("huge-art", _udta(item(b"covr", PNG * 4000, kind=14), GENRE), order="moov-mdat")
add("empty-ilst", _udta(), genres=())
add("no-udta", lambda: b"", genres=())
add("no-udta-moov-first", lambda: b"", order="moov-mdat", genres=())
add("empty-udta", lambda: atom(b"udta"), genres=())
add("udta-terminated", _udta(GENRE, behind=bytes(4)))
add("udta-terminated-none", _udta(OTHERS[0], behind=bytes(4)), genres=())
add("udta-other", lambda: atom(b"udta", atom(b"name", b"x"), atom(b"\xa9gen", b"\0\x04\x15\xc7Rock")), genres=None)
add("meta-without-ilst", lambda: atom(b"udta", full(b"meta", HDLR)), genres=())
add("meta-without-hdlr", lambda: atom(b"udta", full(b"meta", atom(b"ilst", GENRE))), genres=None)
add("meta-of-quicktime", lambda: atom(b"udta", atom(b"meta", HDLR, atom(b"ilst", GENRE))), genres=None)
add("meta-with-keys", _udta(GENRE, more=full(b"keys", bytes(4))))


def _keyed(*names: str) -> bytes:
    """Return tags as QuickTime has them: numbered items, whose names stand in a table of keys."""
    keys = struct.pack(">I", len(names)) + b"".join(atom(b"mdta", name.encode()) for name in names)
    items = [item(struct.pack(">I", n + 1), b"Rock") for n in range(len(names))]
    handler = full(b"hdlr", bytes(4) + b"mdta" + bytes(13))
    return full(b"meta", handler, full(b"keys", keys), atom(b"ilst", *items))


add("keyed", lambda: atom(b"udta", _keyed("title", "genre")), genres=None, refused="keys")
add("keyed-without-genre", lambda: atom(b"udta", _keyed("title")), genres=None, refused="keys")
add("keyed-outside", lambda: _keyed("com.apple.quicktime.genre"), genres=None, refused="keys")
add("keyed-outside-without-genre", lambda: atom(b"udta", meta([GENRE])) + _keyed("com.apple.quicktime.make"))
add("two-meta", lambda: atom(b"udta", meta([OTHERS[0]]), meta([GENRE])), genres=None)
add("two-udta", lambda: atom(b"udta", meta([GENRE])) + atom(b"udta", meta([OTHERS[1]])), genres=None)
add("ilst-padding", _udta(atom(b"free", bytes(100)), GENRE))
add(
    "chpl",
    _udta(
        GENRE,
        behind=full(
            b"chpl", b"\0\0\0\0\2" + struct.pack(">QB", 0, 3) + b"one" + struct.pack(">QB", 50_000_000, 3) + b"two"
        ),
    ),
)
add("item-beyond-ilst", _udta(GENRE, b"\0\0\xff\xff\xa9nam"), genres=None, refused="")


def _by_ffmpeg(name: str, suffix: str, *arguments: str, genres: tuple[str, ...] | None) -> None:
    """Register a file as FFmpeg lays it out: chapters (a text track and chpl), fragments, other brands."""

    @functools.cache
    def data() -> bytes:
        with TemporaryDirectory() as folder:
            sheet, out = Path(folder) / "chapters.txt", Path(folder) / ("out" + suffix)
            chapters = "".join(f"[CHAPTER]\nTIMEBASE=1/1\nSTART={n}\nEND={n + 3}\ntitle=Part {n}\n" for n in (0, 3, 6))
            sheet.write_text(f";FFMETADATA1\ntitle=A title\n{'genre=Rock' if genres else ''}\n{chapters}")
            media.ffmpeg(
                "-i",
                media.master("m4a-aac", media.clip(4)),
                "-i",
                sheet,
                "-map_metadata",
                "1",
                "-c",
                "copy",
                *arguments,
                out,
            )
            return out.read_bytes()

    shapes.append(Shape("mp4-" + name, suffix, lambda: Built(data()), genres))


for _said in ((), ("Rock",)):
    _word = "genre" if _said else "none"
    _by_ffmpeg(f"chapters-{_word}", ".m4b", genres=_said)
    _by_ffmpeg(f"chapters-moov-first-{_word}", ".m4b", "-movflags", "+faststart", genres=_said)
    _by_ffmpeg(
        f"fragmented-{_word}",
        ".m4a",
        "-movflags",
        "frag_keyframe+empty_moov",
        "-frag_duration",
        "3000000",
        "-map_chapters",
        "-1",
        genres=None,
    )
    _by_ffmpeg(
        f"fragmented-base-{_word}",
        ".mp4",
        "-movflags",
        "frag_keyframe+default_base_moof+global_sidx",
        "-frag_duration",
        "3000000",
        "-map_chapters",
        "-1",
        genres=None,
    )
    _by_ffmpeg(f"brand-mp4-{_word}", ".mp4", "-brand", "mp42", genres=_said)
