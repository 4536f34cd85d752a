"""WavPack, Musepack and Monkey's Audio files with every shape of APEv2 tags, and Windows Media files.

References
----------
Hydrogenaudio wiki: APEv2 specification; Microsoft: Advanced Systems Format specification, revision 01.20.
"""

from __future__ import annotations

import functools
import struct
import uuid
from collections.abc import Callable, Sequence

from tests import media
from tests.id3_bytes import PNG, genre_frame, some_frames, tag, v1
from tests.other_bytes import ape_item, ape_tag
from tests.shapes import Built, Shape

shapes: list[Shape] = []

ITEMS = [
    ape_item("Title", "A title"),
    ape_item("ARTIST", "An artist\0Another"),
    ape_item("Cover Art (Front)", b"cover.png\0" + PNG, kind=1),
    ape_item("Related", "http://example.org/", kind=2),
    ape_item("odd kind", b"\xff\xfe", kind=3),
    ape_item("Comment", "kept as it is", read_only=True),
    ape_item("empty", ""),
    ape_item("broken", b"\xff\xfe\x80"),
]
ROCK = ape_item("Genre", "Rock")


@functools.cache
def untagged(kind: str) -> bytes:
    data = media.master(kind, media.clip(4)).read_bytes()
    end = data.rfind(b"APETAGEX")
    if end < 0:
        return data
    return data[: data.find(b"APETAGEX")]


def add(
    name: str,
    behind: Callable[[], bytes],
    *,
    front: bytes = b"",
    kind: str = "wavpack",
    genres: tuple[str, ...] | None = ("Rock",),
    refused: str | None = None,
    kept: Sequence[bytes] = (),
) -> None:
    def build() -> Built:
        return Built(front + untagged(kind) + behind(), [untagged(kind), *kept], trailing=True)

    suffix = ".mpc" if kind == "musepack" else ".wv"
    shapes.append(Shape(f"{kind}-{name}", suffix, build, genres, refused))


_half = len(ITEMS) // 2
for _kind in ("wavpack", "musepack"):
    for _word, _items, _said in (("genre", [*ITEMS[:_half], ROCK, *ITEMS[_half:]], ("Rock",)), ("none", ITEMS, ())):
        add(f"full-{_word}", lambda i=_items: ape_tag(i), kind=_kind, genres=_said, kept=ITEMS)
        add(f"footer-only-{_word}", lambda i=_items: ape_tag(i, header=False), kind=_kind, genres=_said, kept=ITEMS)
        add(f"read-only-{_word}", lambda i=_items: ape_tag(i, read_only=True), kind=_kind, genres=None, kept=ITEMS)
        add(f"v1-{_word}", lambda i=_items: ape_tag(i) + v1(genre=17), kind=_kind, genres=None, kept=ITEMS)
        add(
            f"version-1-{_word}",
            lambda i=_items: ape_tag(i[:2] + i[-1:], version=1000, header=False),
            kind=_kind,
            genres=None,
        )
    add("no-tag", lambda: b"", kind=_kind, genres=())
    add("empty-tag", lambda: ape_tag([]), kind=_kind, genres=())
    add("v1-only", lambda: v1(genre=17), kind=_kind, genres=None)
    add("lower-case", lambda: ape_tag([ape_item("genre", "Rock"), ITEMS[0]]), kind=_kind)
    add("upper-case", lambda: ape_tag([ITEMS[0], ape_item("GENRE", "Rock")]), kind=_kind)
    add("several-values", lambda: ape_tag([ape_item("Genre", "Rock\0Pop")]), kind=_kind, genres=("Rock", "Pop"))
    add("twice", lambda: ape_tag([ROCK, ITEMS[0], ape_item("genre", "Pop")]), kind=_kind, genres=None)
    add("read-only-item", lambda: ape_tag([ape_item("Genre", "Rock", read_only=True)]), kind=_kind, genres=None)
    add("binary-genre", lambda: ape_tag([ape_item("Genre", b"\1\2", kind=1)]), kind=_kind, genres=None)
    add("link-genre", lambda: ape_tag([ape_item("Genre", "http://x/", kind=2)]), kind=_kind, genres=None)
    add("empty-genre", lambda: ape_tag([ape_item("Genre", ""), ITEMS[0]]), kind=_kind, genres=None)
    add("not-utf8", lambda: ape_tag([ape_item("Genre", b"R\xe9ggae")]), kind=_kind, genres=None, refused="damaged")
    add("huge-art", lambda: ape_tag([ape_item("Cover Art (Front)", b"c\0" + PNG * 3000, kind=1), ROCK]), kind=_kind)
    add(
        "gap-before-footer",
        lambda: ape_tag([ROCK])[:-32] + bytes(10) + ape_tag([ROCK])[-32:],
        kind=_kind,
        genres=None,
        refused="damaged",
    )
    add("two-tags", lambda: ape_tag([ITEMS[0]]) + ape_tag([ROCK]), kind=_kind, genres=None)
    add(
        "wrong-count",
        lambda: ape_tag([ROCK]).replace(b"\1\0\0\0\0\0\0", b"\7\0\0\0\0\0\0"),
        kind=_kind,
        genres=None,
        refused="damaged",
    )
    add("item-beyond-tag", lambda: ape_tag([b"\xff\xff\0\0" + ROCK[4:]]), kind=_kind, genres=None, refused="")
add(
    "id3-in-front",
    lambda: ape_tag([ROCK]),
    front=tag(3, [*some_frames(3), genre_frame(3, "Pop")]),
    kind="musepack",
    genres=None,
)

# --- ASF ---

HEADER = uuid.UUID("75B22630-668E-11CF-A6D9-00AA0062CE6C").bytes_le
FILE = uuid.UUID("8CABDCA1-A947-11CF-8EE4-00C00C205365").bytes_le
EXTENSION = uuid.UUID("5FBF03B5-A92E-11CF-8EE3-00C00C205365").bytes_le
CONTENT = uuid.UUID("75B22633-668E-11CF-A6D9-00AA0062CE6C").bytes_le
EXTENDED = uuid.UUID("D2D0A440-E307-11D2-97F0-00A0C95EA850").bytes_le
METADATA = uuid.UUID("C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA").bytes_le
LIBRARY = uuid.UUID("44231C94-9498-49D1-A141-1D134E457054").bytes_le
PADDING = uuid.UUID("1806D474-CADF-4509-A4BA-9AABCB96AAE8").bytes_le
UNKNOWN = uuid.UUID("12345678-1234-1234-1234-123456789ABC").bytes_le


def asf_object(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 24).to_bytes(8, "little") + body


def _utf16(value: str) -> bytes:
    return value.encode("utf-16-le") + b"\0\0"


def attribute(name: str, value: bytes, kind: int = 0) -> bytes:
    encoded = _utf16(name)
    return struct.pack("<H", len(encoded)) + encoded + struct.pack("<HH", kind, len(value)) + value


def library(name: str, value: bytes, kind: int = 0, *, stream: int = 0, language: int = 0) -> bytes:
    encoded = _utf16(name)
    return struct.pack("<HHHHI", language, stream, len(encoded), kind, len(value)) + encoded + value


def described(*attributes: bytes) -> bytes:
    return asf_object(EXTENDED, struct.pack("<H", len(attributes)) + b"".join(attributes))


def extension(*objects: bytes) -> bytes:
    body = b"".join(objects)
    reserved = uuid.UUID("ABD3D211-A9BA-11CF-8EE6-00C00C205365").bytes_le
    return asf_object(EXTENSION, reserved + struct.pack("<HI", 6, len(body)) + body)


@functools.cache
def _asf() -> tuple[list[bytes], bytes]:
    """Return the header objects a player needs of a real file, and what follows the header."""
    data = media.master("wma", media.clip(4)).read_bytes()
    size, count = struct.unpack_from("<QI", data, 16)
    at, objects = 30, []
    for _ in range(count):
        length = int.from_bytes(data[at + 16 : at + 24], "little")
        if data[at : at + 16] not in (CONTENT, EXTENDED, EXTENSION):
            objects.append(data[at : at + length])
        at += length
    return objects, data[size:]


def asf(
    name: str,
    objects: Callable[[], Sequence[bytes]],
    *,
    genres: tuple[str, ...] | None = ("Rock",),
    refused: str | None = None,
    kept: Sequence[bytes] = (),
    extended: bool = True,
) -> None:
    """Register a file; every one needs a header extension, so one is made unless not `extended`."""

    def build() -> Built:
        base, rest = _asf()
        made = list(objects())
        if extended and not any(o.startswith(EXTENSION) for o in made):
            made.append(extension())
        whole = [*base[:1], *made, *base[1:]]
        size = sum(map(len, whole)) + 30
        whole = [o[:40] + (size + len(rest)).to_bytes(8, "little") + o[48:] if o.startswith(FILE) else o for o in whole]
        return Built(HEADER + struct.pack("<QI", size, len(whole)) + b"\1\2" + b"".join(whole) + rest, [*kept, rest])

    shapes.append(Shape("asf-" + name, ".wma", build, genres, refused))


_GENRE = attribute("WM/Genre", _utf16("Rock"))
_OTHERS = [
    attribute("WM/AlbumTitle", _utf16("An album")),
    attribute("WM/Picture", b"\x03" + struct.pack("<I", len(PNG)) + _utf16("image/png") + _utf16("") + PNG, 1),
    attribute("WM/TrackNumber", (3).to_bytes(4, "little"), 3),
    attribute("IsVBR", (1).to_bytes(4, "little"), 2),
    attribute("Huge", (1 << 40).to_bytes(8, "little"), 4),
    attribute("Small", b"\7\0", 5),
    attribute("Odd", b"\xff", 77),
    attribute("Blob", b"", 1),
]
_CONTENT = asf_object(CONTENT, struct.pack("<5H", 16, 0, 0, 0, 0) + _utf16("A title"))
for _word, _attributes, _said in (("genre", [*_OTHERS[:4], _GENRE, *_OTHERS[4:]], ("Rock",)), ("none", _OTHERS, ())):
    asf(
        f"full-{_word}",
        lambda a=_attributes: [_CONTENT, described(*a), extension()],
        genres=_said,
        kept=[_CONTENT, *_OTHERS],
    )
    asf(
        f"padding-{_word}",
        lambda a=_attributes: [
            described(*a),
            extension(asf_object(UNKNOWN, b"keep"), asf_object(PADDING, bytes(3000))),
        ],
        genres=_said,
        kept=[*_OTHERS, b"keep"],
    )
    asf(
        f"top-padding-{_word}",
        lambda a=_attributes: [described(*a), asf_object(PADDING, bytes(100)), extension()],
        genres=_said,
    )
    asf(
        f"unknown-object-{_word}",
        lambda a=_attributes: [asf_object(UNKNOWN, b"hello"), described(*a)],
        genres=_said,
        kept=[b"hello"],
    )
    asf(
        f"metadata-{_word}",
        lambda a=_attributes: [
            described(*a),
            extension(
                asf_object(METADATA, struct.pack("<H", 1) + library("X", b"\1\0", 5, stream=1)),
                asf_object(LIBRARY, struct.pack("<H", 1) + library("WM/Big", b"x" * 70_000, 1)),
            ),
        ],
        genres=_said,
        kept=[*_OTHERS, b"x" * 70_000],
    )
asf("no-extension", lambda: [described(_GENRE)], genres=None, refused="extension", extended=False)
asf("no-metadata", list, genres=())
asf("only-content", lambda: [_CONTENT], genres=())
asf(
    "several-genres",
    lambda: [described(_GENRE, _OTHERS[0], attribute("WM/Genre", _utf16("Pop")))],
    genres=("Rock", "Pop"),
)
asf("genre-without-end", lambda: [described(attribute("WM/Genre", "Rock".encode("utf-16-le")))])
asf("genre-as-bytes", lambda: [described(attribute("WM/Genre", _utf16("Rock"), 1))], genres=None)
asf("genre-as-number", lambda: [described(attribute("WM/Genre", (17).to_bytes(4, "little"), 3))], genres=None)
asf("genre-empty", lambda: [described(attribute("WM/Genre", b"\0\0"))], genres=None)
asf("genre-id", lambda: [described(attribute("WM/GenreID", _utf16("17")), _OTHERS[0])], genres=None)
asf("genre-lower-case", lambda: [described(attribute("wm/genre", _utf16("Rock")))], genres=None)
asf("genre-odd-bytes", lambda: [described(attribute("WM/Genre", b"R\0o"))], genres=None, refused="damaged")
asf(
    "genre-in-library",
    lambda: [extension(asf_object(LIBRARY, struct.pack("<H", 1) + library("WM/Genre", _utf16("Rock"))))],
    genres=None,
)
asf(
    "genre-of-stream",
    lambda: [extension(asf_object(METADATA, struct.pack("<H", 1) + library("WM/Genre", _utf16("Rock"), stream=1)))],
    genres=None,
)
asf("two-descriptions", lambda: [described(_GENRE), described(_OTHERS[0])], genres=None)
asf("genre-in-two-descriptions", lambda: [described(_GENRE), described(_GENRE)], genres=None, refused="must be unique")
asf("two-extensions", lambda: [extension(), extension()], genres=None, refused="two extensions")
asf("description-in-extension", lambda: [extension(described(*_OTHERS[:2], _GENRE))], kept=_OTHERS[:2])
for _word, _records in (("genre", [library("WM/Genre", _utf16("Rock"))]), ("none", [])):
    asf(
        f"library-in-front-{_word}",
        lambda r=_records: [
            asf_object(LIBRARY, struct.pack("<H", len(r) + 1) + b"".join([library("X", b"\1\0", 5), *r])),
            extension(),
        ],
        genres=("Rock",) if _records else (),
    )
asf("attribute-beyond-object", lambda: [asf_object(EXTENDED, struct.pack("<H", 9) + _GENRE)], genres=None, refused="")
