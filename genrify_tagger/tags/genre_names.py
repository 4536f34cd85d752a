"""Genre names: resolve the numbers in ID3 and MP4, and check which names may be written."""

from __future__ import annotations

from collections.abc import Sequence

from mutagen._constants import GENRES
from mutagen.id3 import TCON

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags.model import GENRE, JOIN, check_count

SPLITTERS = ";/,|"
NO_GENRE = 255
_INDEX = {name.casefold(): index for index, name in reversed(list(enumerate(GENRES)))}


def resolve_id3(values: Sequence[str]) -> tuple[str, ...]:
    """Resolve the number forms of ID3, such as ``(17)``, ``13`` and ``(4)Eurodisco``.

    Raises
    ------
    TagReadError
        If there are far too many values, or a number far too long.
    """
    check_count(len(values), "genres")
    try:
        return tuple(TCON(encoding=3, text=list(values)).genres)  # type: ignore[no-untyped-call]
    except ValueError as error:  # Python does not convert thousands of digits
        raise TagReadError("the genre in the ID3 tag is damaged") from error


def split_joined(values: Sequence[str]) -> tuple[str, ...]:
    """Split values that ID3v2.2 and ID3v2.3 join into one text."""
    return tuple(part for value in values for part in value.split(JOIN) if part)


def from_v1(byte: int) -> tuple[str, ...]:
    """Return the genre that a genre byte of ID3v1 means."""
    if byte == NO_GENRE:
        return ()
    return (GENRES[byte],) if byte < len(GENRES) else ("Unknown",)


def to_v1(genres: Sequence[str]) -> int:
    """Return the genre byte of ID3v1 for the first of `genres` that has one."""
    return next((_INDEX[name.casefold()] for name in genres if name.casefold() in _INDEX), NO_GENRE)


def id3_numbers() -> dict[str, str]:
    """Return the genres that numbers stand for, as they occur in other tags than ID3: "17" and "(17)"."""
    return {form: name for number, name in enumerate(GENRES) for form in (str(number), f"({number})")}


def from_gnre(number: int) -> tuple[str, ...]:
    """Return the genre that the legacy ``gnre`` atom of MP4 means (ID3v1's number plus one)."""
    return (GENRES[number - 1],) if 1 <= number <= len(GENRES) else ("Unknown",)


def check_genres(genres: Sequence[str], *, present: Sequence[str], path: str) -> tuple[str, ...]:
    """Refuse names that would not be read back as written.

    Names that are already in the file (`present`) may stay, whatever they are.

    Raises
    ------
    WriteRefusedError
        For an empty name, control characters, unpaired surrogates, and characters at which players split.
    """
    for name in genres:
        if name not in present:
            _check_name(name, path)
    return tuple(genres)


def _check_name(name: str, path: str) -> None:
    if not name or name != name.strip():
        raise WriteRefusedError(f"the genre name {name!r} is empty or padded with spaces", path=path)
    if any(not c.isprintable() for c in name):
        raise WriteRefusedError(f"the genre name {name!r} contains an unprintable character", path=path)
    for mark in SPLITTERS:
        if mark in name:
            raise WriteRefusedError(
                f"the genre name {name!r} contains {mark!r}, at which players split genres",
                path=path,
                hint="pass several genres one by one, or choose another name in [tagging.names]",
            )


def check_field(field: str) -> str:
    """Return the field in canonical form: ``"genre"``, or a custom name in upper case.

    Raises
    ------
    WriteRefusedError
        If some container could not hold a field of that name.
    """
    if field.casefold() == GENRE:
        return GENRE
    if not 2 <= len(field) <= 64 or not field.isascii() or not field.isprintable() or "=" in field or ":" in field:
        raise WriteRefusedError(f"the field name {field!r} does not fit every container", hint="use letters and _")
    if field.upper() in {"ID3", "TAG", "OGGS", "MP+", "TITLE", "ARTIST", "ALBUM", "DATE", "TRACKNUMBER", "COMMENT"}:
        raise WriteRefusedError(f"the field name {field!r} is taken by another field")
    return field.upper()
