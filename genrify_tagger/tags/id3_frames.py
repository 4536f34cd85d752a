"""The genre frame of an ID3v2 tag: read it, and make a new one."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from genrify_tagger.errors import TagReadError
from genrify_tagger.tags.genre_names import resolve_id3, split_joined
from genrify_tagger.tags.id3 import UNSYNC, Tag, resync, syncsafe, unsync
from genrify_tagger.tags.model import GENRE, JOIN, MAX_BYTES, check_bytes

_MAX_INFLATED = 1 << 16
_ALIAS = "GENRE"
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")


def field_values(tag: Tag, frame: bytes, field: str) -> tuple[str, ...] | None:
    """Return the values of `field` in a frame; None if it is another frame.

    Raises
    ------
    TagReadError
        If it is the field's frame but encrypted or damaged.
    """
    if field == GENRE and is_alias(frame, field):
        return _alias_values(tag, frame)
    if not frame.startswith(_frame_id(tag.version, field)):
        return None
    if field == GENRE:
        check_bytes(len(frame))
    elif len(frame) > MAX_BYTES:
        return None
    encoding, text = _text(_content(tag, frame))
    values = _split(text, encoding)
    if field != GENRE:
        if not values or values[0].casefold() != field.casefold():
            return None
        values = values[1:]
    values = [value for value in values if value]
    named = resolve_id3(values) if field == GENRE else tuple(values)
    return named if tag.version == 4 else split_joined(named)


def is_alias(frame: bytes, field: str) -> bool:
    """Return whether a frame is of the kind that players may read in place of the genre frame (``TXXX:GENRE``)."""
    return field == GENRE and frame.startswith(b"TXX")


def _alias_values(tag: Tag, frame: bytes) -> tuple[str, ...] | None:
    try:
        return field_values(tag, frame, _ALIAS)
    except TagReadError:
        return None  # whichever field it is for


def _frame_id(version: int, field: str) -> bytes:
    if version == 2:
        return b"TCO" if field == GENRE else b"TXX"
    return b"TCON" if field == GENRE else b"TXXX"


def _content(tag: Tag, frame: bytes) -> bytes:
    """Return a frame's body, decompressed and without the extra bytes that its flags announce."""
    plain = resync(frame) if tag.whole_unsync else frame
    if tag.version == 2:
        return plain[6:]
    flags, body = plain[9], plain[10:]
    if tag.version == 3:
        grouped, encrypted, packed, length = flags & 0x20, flags & 0x40, flags & 0x80, flags & 0x80
    else:
        grouped, encrypted, packed, length = flags & 0x40, flags & 0x04, flags & 0x08, flags & 0x01
        if flags & 0x02 or tag.flags & UNSYNC:
            body = resync(body)
    if encrypted:
        raise TagReadError("the genre in the ID3 tag is encrypted")
    # ID3v2.3 puts the decompressed size before the group's byte, ID3v2.4 the length after it; all are skipped here.
    body = body[(4 if length else 0) + (1 if grouped else 0) :]
    return _inflated(body) if packed else body


def _inflated(body: bytes) -> bytes:
    packer = zlib.decompressobj()
    try:
        content = packer.decompress(body, _MAX_INFLATED)
    except zlib.error as error:
        raise TagReadError("the genre in the ID3 tag is damaged") from error
    if packer.unconsumed_tail:
        raise TagReadError("the genre in the ID3 tag is too long")
    return content


def _text(content: bytes) -> tuple[int, bytes]:
    if not content:
        return 0, b""
    if content[0] >= len(_ENCODINGS):
        raise TagReadError("the genre in the ID3 tag is in an unknown encoding")
    return content[0], content[1:]


def _split(data: bytes, encoding: int) -> list[str]:
    """Decode NUL-separated texts, each of which may have its own byte order mark."""
    if encoding in (1, 2):
        data = data[: len(data) & ~1]
        order = "utf-16-be" if encoding == 2 else "utf-16-le"
        texts = []
        for part in _split_wide(data):
            if part[:2] in (b"\xff\xfe", b"\xfe\xff"):
                order = "utf-16-le" if part[:2] == b"\xff\xfe" else "utf-16-be"
                part = part[2:]
            texts.append(part.decode(order, "replace"))
        return texts
    return [part.decode(_ENCODINGS[encoding], "replace") for part in data.split(b"\0")]


def _split_wide(data: bytes) -> list[bytes]:
    parts, start = [], 0
    for at in range(0, len(data), 2):
        if data[at : at + 2] == b"\0\0":
            parts.append(data[start:at])
            start = at + 2
    return [*parts, data[start:]]


def make_frame(tag: Tag, field: str, genres: Sequence[str], former: bytes | None) -> bytes:
    """Return a frame with `genres`, as encoded in this tag.

    Parameters
    ----------
    tag : Tag
        The tag it is for.
    field : str
        "genre" or a custom name.
    genres : sequence of str
        Values; separate in ID3v2.4, joined with "; " in earlier versions.
    former : bytes or None
        The frame it replaces, whose encoding (where it can hold the text), status flags and group are kept.
    """
    values = list(genres) if tag.version == 4 else [JOIN.join(genres)]
    texts = values if field == GENRE else [field, *values]
    encoding = _encoding_for(tag, "".join(texts), former)
    body = bytes((encoding,)) + _encode(texts, encoding, version=tag.version)
    name = _frame_id(tag.version, field)
    if tag.version == 2:
        frame = name + len(body).to_bytes(3, "big") + body
        return unsync(frame) if tag.whole_unsync else frame
    status, form, group = _kept_flags(tag, former)
    body = group + body
    if tag.version == 4 and tag.flags & UNSYNC:
        body, form = unsync(body), form | 0x02
    size = syncsafe(len(body)) if tag.version == 4 and not tag.wide else len(body).to_bytes(4, "big")
    frame = name + size + bytes((status, form)) + body
    return unsync(frame) if tag.whole_unsync else frame


def _encoding_for(tag: Tag, text: str, former: bytes | None) -> int:
    known = range(4) if tag.version == 4 else range(2)
    if former is not None:
        encoding = _text(_content(tag, former))[0]
        if encoding in known and _fits(text, encoding):
            return encoding
    if _fits(text, 0) and (tag.version < 4 or text.isascii()):
        return 0
    return 3 if tag.version == 4 else 1


def _fits(text: str, encoding: int) -> bool:
    try:
        text.encode(_ENCODINGS[encoding])
    except UnicodeEncodeError:
        return False
    return True


def _encode(texts: Sequence[str], encoding: int, *, version: int) -> bytes:
    nul = b"\0\0" if encoding in (1, 2) else b"\0"
    if encoding == 1:
        return nul.join(b"\xff\xfe" + text.encode("utf-16-le") for text in texts)
    return nul.join(text.encode(_ENCODINGS[encoding]) for text in texts)


def _kept_flags(tag: Tag, former: bytes | None) -> tuple[int, int, bytes]:
    """Return status flags, format flags and group byte for a frame that replaces `former`."""
    if former is None:
        return 0, 0, b""
    plain = resync(former) if tag.whole_unsync else former
    status, form = plain[8], plain[9]
    grouped = 0x20 if tag.version == 3 else 0x40
    if not form & grouped:
        return status, 0, b""
    # ID3v2.3 has the group's byte after the decompressed size and the encryption's byte, ID3v2.4 first of all.
    at = 10 + (4 if tag.version == 3 and form & 0x80 else 0)
    return status, grouped, plain[at : at + 1]


def frames_of_v1(block: bytes) -> tuple[bytes, ...]:
    """Return the fields of an ID3v1 block (128 bytes) as frames of ID3v2.4, without its genre.

    These are the frames that mutagen shows for such a file, so that nothing changes for programs that use mutagen. None
    at all if its text is not Latin-1: it would be shown wrongly.
    """
    if not is_latin1(block[3:127]):
        return ()
    texts = {b"TIT2": block[3:33], b"TPE1": block[33:63], b"TALB": block[63:93], b"TDRC": block[93:97]}
    comment = block[97:125] if block[125] == 0 and block[126] else block[97:127]
    bodies = {name: _v1_text(text) for name, text in texts.items()}
    frames = [(name, b"\0" + text) for name, text in bodies.items() if text]
    if _v1_text(comment):
        frames.append((b"COMM", b"\0engID3v1 Comment\0" + _v1_text(comment)))
    if len(comment) == 28:
        frames.append((b"TRCK", b"\0" + str(block[126]).encode("ascii")))
    return tuple(name + syncsafe(len(body)) + bytes(2) + body for name, body in frames)


def fields_of_v1(block: bytes) -> dict[str, str]:
    """Return the fields of an ID3v1 block by their APEv2 names, without its genre; none if it is not Latin-1."""
    if not is_latin1(block[3:127]):
        return {}
    has_track = block[125] == 0 and block[126] != 0
    texts = {"Title": block[3:33], "Artist": block[33:63], "Album": block[63:93], "Year": block[93:97]}
    fields = {key: _v1_text(text).decode("latin-1") for key, text in texts.items()}
    fields["Track"] = str(block[126]) if has_track else ""
    fields["Comment"] = _v1_text(block[97:125] if has_track else block[97:127]).decode("latin-1")
    return {key: text for key, text in fields.items() if text}


def text_frame(name: bytes, text: str) -> bytes:
    """Return an ID3v2.4 text frame or comment."""
    encoding, encoded = (b"\0", text.encode("ascii")) if text.isascii() else (b"\3", text.encode("utf-8"))
    body = encoding + (b"eng\0" if name == b"COMM" else b"") + encoded
    return name + syncsafe(len(body)) + bytes(2) + body


def is_latin1(text: bytes) -> bool:
    """Return whether the text of an ID3v1 block is plausible as Latin-1, and not UTF-8, Cyrillic or East Asian.

    Two accented letters in a row are rare in Latin-1; in other encodings whole words have the highest bit set.
    """
    return not any(0x80 <= byte < 0xA0 for byte in text) and not re.search(rb"[\x80-\xff]{2}", text)


def _v1_text(field: bytes) -> bytes:
    return field.split(b"\0")[0].strip()
