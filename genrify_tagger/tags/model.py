"""The values that pass between reading, planning and writing a genre: pieces, snapshots, edits.

A *piece* is the bytes of one frame, item or comment that holds the genre (or the genre byte of an ID3v1 block), exactly
as in the file, with its position among its neighbours. All pieces of a file together, serialised, are the *raw* form
that the journal keeps: enough to restore the field.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from genrify_tagger.errors import TagError, TagReadError
from genrify_tagger.files import FileStat

RAW_VERSION = 2  # version 1 had hints about the file's layout instead of the patch
JOIN = "; "
GENRE = "genre"
MAX_FIELDS = 10_000  # frames, items, comments or values in one tag; more than this is an attack
MAX_BYTES = 256 << 10  # of the genre, in all places together; it is journalled, stored and shown
MAX_TAGS = 64  # consecutive tags


def check_count(count: int, what: str, *, limit: int = MAX_FIELDS) -> None:
    """Refuse a tag with so many parts that it would take too long to read.

    Raises
    ------
    TagReadError
        If there are more than `limit` of `what`.
    """
    if count > limit:
        raise TagReadError(f"the file has more than {limit} {what}")


def check_bytes(length: int) -> None:
    """Refuse a genre that is longer than a genre can be.

    Raises
    ------
    TagReadError
        If it has more than `MAX_BYTES` bytes.
    """
    if length > MAX_BYTES:
        raise TagReadError(f"the genre in the file is {length >> 10} KiB long")


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one frame, item or comment that holds the genre.

    Attributes
    ----------
    place : str
        The tag it belongs to, such as ``"id3v2.3:0"`` (the first ID3v2 tag, version 2.3), ``"ape:0"``, ``"vorbis"``.
    at : int
        Its index among its neighbours, itself included.
    data : bytes
        Its bytes, as in the file.
    """

    place: str
    at: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the bytes ``start:end`` of the original file by `new`."""

    start: int
    end: int
    new: bytes


@dataclass(frozen=True)
class Snapshot:
    """The genre field of a file at one moment.

    Attributes
    ----------
    container : str
        Short name of the container, such as ``"mp3"``, ``"flac"``, ``"mp4"``.
    genres : tuple of str
        The genres as names: ``(17)``, ``13`` and the genre byte of ID3v1 are resolved.
    raw : bytes or None
        Opaque; everything needed to restore the field. None if the field is absent (absent is not empty).
    """

    container: str
    genres: tuple[str, ...]
    raw: bytes | None


@dataclass(frozen=True)
class WritePlan:
    """A change that has been worked out but not made.

    Attributes
    ----------
    path : str
        The requested path.
    target : str
        The file that will be replaced: `path` with symbolic links resolved.
    field : str
        "genre", or the name of the custom field.
    before, after : Snapshot
        The field now, and as it will be read back. One of the two raw forms holds the patch between both.
    stat : FileStat
        Fingerprint of `target` when the plan was made.
    changes : bool
        False if the file already has the wanted genre; then there is nothing to apply.
    edits : tuple of Edit
        What to replace in the file, in rising order and not overlapping.
    """

    path: str
    target: str
    field: str
    before: Snapshot
    after: Snapshot
    stat: FileStat
    changes: bool
    edits: tuple[Edit, ...]


class TagState(Protocol):
    """The genre field of one open file, as each container's module implements it."""

    @property
    def container(self) -> str:
        """Short name of the container."""

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All pieces that hold the field, in file order."""

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in each place that has the field, the place that players prefer first."""

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the pieces that hold `genres`."""

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits that make `pieces` the field, in any order."""

    def others(self) -> list[bytes]:
        """Return what is near the field and must not change."""


def joined(genres: Iterable[str]) -> str:
    """Return the form in which lists of genres are compared, however the container stores several values."""
    return JOIN.join(genres)


def pack(state: TagState, field: str, genres: Sequence[str]) -> bytes:
    """Serialise the field of a file.

    Parameters
    ----------
    state : TagState
        The open field.
    field : str
        "genre" or a custom name.
    genres : sequence of str
        As names.
    """
    body = {
        "v": RAW_VERSION,
        "container": state.container,
        "field": field,
        "genres": list(genres),
        "pieces": [[piece.place, piece.at, base64.b64encode(piece.data).decode("ascii")] for piece in state.pieces],
    }
    return _dump(body)


def with_patch(raw: bytes, patch: str) -> bytes:
    """Return a raw form with the encoded `BytePatch` of the change that it is journalled with."""
    return _dump({**json.loads(raw), "patch": patch})


def _dump(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode("ascii")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A raw form, opened; `patch` is an encoded `BytePatch`."""

    container: str
    field: str
    genres: tuple[str, ...]
    pieces: tuple[Piece, ...]
    patch: str | None


def unpack(raw: bytes) -> Unpacked:
    """Open a raw form.

    Raises
    ------
    TagError
        If it was not made by `pack`, or was made by a newer version of it.
    """
    try:
        body = json.loads(raw)
        if not 1 <= body["v"] <= RAW_VERSION:
            raise TagError("the journalled genre was written by a newer version of Genrify Tagger")
        pieces = tuple(Piece(str(p), int(at), base64.b64decode(data, validate=True)) for p, at, data in body["pieces"])
        return Unpacked(body["container"], body["field"], tuple(body["genres"]), pieces, body.get("patch"))
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise TagError("the journalled genre is damaged") from error


def same_genre(first: bytes | None, second: bytes | None) -> bool:
    """Return whether two raw forms mean the same genres, however they are stored.

    A tagger that saves the file again for another reason may change encoding, order or tag version; that does not
    change the genre. Absent and empty differ.
    """
    if first is None or second is None:
        return first is second
    return first == second or joined(unpack(first).genres) == joined(unpack(second).genres)


def same_pieces(first: bytes | None, second: bytes | None) -> bool:
    """Return whether two raw forms hold the same bytes in the same places."""
    if first is None or second is None:
        return first is second
    return unpack(first).pieces == unpack(second).pieces


def insert_at(others: Sequence[bytes], pieces: Sequence[Piece]) -> list[bytes]:
    """Insert `pieces` among `others`, each at its index (at the end if there are fewer now)."""
    combined = list(others)
    for piece in sorted(pieces, key=lambda piece: piece.at):
        combined.insert(min(piece.at, len(combined)), piece.data)
    return combined
