"""Read the genre of a file, and work out a change of it without making it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO, TypeVar, cast

from genrify_tagger.errors import ChangedMeanwhileError, TagError, TagReadError, WriteRefusedError
from genrify_tagger.files import FileStat, file_stat, fingerprint
from genrify_tagger.tags import genre_names, memory_budget
from genrify_tagger.tags.byte_diff import narrowed
from genrify_tagger.tags.containers import open_state
from genrify_tagger.tags.model import Edit, Piece, Snapshot, TagState, WritePlan, joined, pack, same_genre, unpack
from genrify_tagger.tags.patched_file import PatchedFile

T = TypeVar("T")
# Not to hang on a FIFO, nor to be led to a terminal. Not every system has all of them.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))


def read(path: str, *, field: str = "genre") -> Snapshot:
    """Read the genre of a file.

    Parameters
    ----------
    path : str
        The file; symbolic links are followed.
    field : str
        "genre", or the name of a custom field.

    Raises
    ------
    NotTaggableError
        If the container has no place for a genre.
    TagReadError
        If the file cannot be read, or its tags are damaged.
    """
    name = genre_names.check_field(field)
    return with_open(path, lambda file: snapshot(open_state(PatchedFile(file), name, path), name))


def stat_or_none(path: str) -> FileStat | None:
    """Return the fingerprint of a file, None if it cannot be reached."""
    try:
        return file_stat(path)
    except OSError:
        return None


def plan_write(path: str, genres: Sequence[str], *, field: str = "genre", any_name: bool = False) -> WritePlan:
    """Work out how to make `genres` the genre of a file; nothing is changed.

    Parameters
    ----------
    path : str
        The file; if it is a symbolic link, its target will be changed.
    genres : sequence of str
        Names as they are to be written; none at all removes the field.
    field : str
        "genre", or the name of a custom field.
    any_name : bool
        Whether names may be such as players split, because another program does the writing.

    Returns
    -------
    Plan
        Its `changes` is False if every place in the file that has the genre says this already.

    Raises
    ------
    WriteRefusedError
        If a name cannot be written so that it would be read back, or the file cannot be changed safely.
    NotTaggableError, TagReadError
        As `read`.
    """
    name = genre_names.check_field(field)

    def want(state: TagState) -> Sequence[Piece] | None:
        checked = genre_names.check_genres(genres, present=genres if any_name else effective_genres(state), path=path)
        wanted = joined(checked)
        if joined(effective_genres(state)) == wanted and all(
            joined(voice) == wanted for voice in state.values_by_place
        ):
            return None
        return state.compose(checked)

    return _plan(path, name, want, {}, tuple(genres))


def plan_restore(
    path: str, raw: bytes | None, *, field: str = "genre", expected: bytes | object | None = ...
) -> WritePlan:
    """Work out how to put the field back as a former raw form has it; nothing is changed.

    Parameters
    ----------
    path : str
        The file.
    raw : bytes or None
        From `Snapshot.raw`: what to go back to; None removes the field.
    field : str
        "genre", or the name of a custom field.
    expected : bytes or None
        What the field must mean now (`same_genre`); left out, it may be anything. The raw form that was journalled as
        the outcome of the change to be undone also tells how the file was laid out before.

    Raises
    ------
    ChangedMeanwhileError
        If the field is not as `expected`: someone else changed it.
    WriteRefusedError, NotTaggableError, TagReadError
        As `plan_write`.
    """
    name = genre_names.check_field(field)
    wanted = None if raw is None else unpack(raw)
    hints = wanted.layout if wanted else unpack(expected).across if isinstance(expected, bytes) else {}
    pieces = wanted.pieces if wanted else ()

    def want(state: TagState) -> Sequence[Piece] | None:
        if expected is not ... and not same_genre(snapshot(state, name).raw, cast("bytes | None", expected)):
            raise ChangedMeanwhileError("the genre was changed by someone else since", path=path)
        return None if _contents(pieces) == _contents(state.pieces) else pieces

    return _plan(path, name, want, hints, wanted.genres if wanted else ())


def _plan(
    path: str,
    field: str,
    want: Callable[[TagState], Sequence[Piece] | None],
    hints: Mapping[str, Any],
    genres: Sequence[str],
) -> WritePlan:
    target = os.path.realpath(path)

    def work(file: BinaryIO) -> WritePlan:
        seen = fingerprint(os.fstat(file.fileno()))
        state = open_state(PatchedFile(file), field, target)
        pieces = want(state)
        edits = () if pieces is None else _edits(file, state, pieces, hints, genres, field, target)
        if not edits:
            before = snapshot(state, field)
            return WritePlan(path, target, field, before, before, seen, False, ())
        changed = PatchedFile(file, edits)
        outcome = open_state(changed, field, target)
        layout = _reversible_layout(state, outcome, PatchedFile(file), changed)
        before = snapshot(state, field, layout=layout, across=outcome.layout)
        after = snapshot(outcome, field, across=layout)
        return WritePlan(path, target, field, before, after, seen, True, edits)

    return with_open(target, work, shown=path)


def _reversible_layout(before: TagState, after: TagState, old: PatchedFile, new: PatchedFile) -> dict[str, Any]:
    """Return the layout to go back to; where that would not give the very same file, the former bytes go with it."""
    layout = before.layout
    if PatchedFile(new, after.splice(before.pieces, layout)).restores(old):
        return layout
    return {**layout, "image": new.inverse()}


def replay(
    file: BinaryIO, before_raw: bytes | None, after_raw: bytes | None, *, field: str, target: str
) -> PatchedFile:
    """Return what a journalled change made of a file, given the file as it was before.

    Parameters
    ----------
    file : BinaryIO
        The former content.
    before_raw, after_raw : bytes or None
        As journalled with the change.
    field : str
        As journalled.
    target : str
        The file's path, for its suffix.

    Raises
    ------
    TagError
        If the change cannot be worked out any more.
    """
    wanted = None if after_raw is None else unpack(after_raw)
    hints = wanted.layout if wanted else unpack(before_raw).across if before_raw is not None else {}
    state = open_state(PatchedFile(file), field, target)
    genres = wanted.genres if wanted else ()
    return PatchedFile(file, _edits(file, state, wanted.pieces if wanted else (), hints, genres, field, target))


def _edits(
    file: BinaryIO,
    state: TagState,
    pieces: Sequence[Piece],
    hints: Mapping[str, Any],
    genres: Sequence[str],
    field: str,
    target: str,
) -> tuple[Edit, ...]:
    """Return edits after which the file is proven, by reading it through them, to say `genres` and to keep the rest."""
    image = PatchedFile(file).inverted(hints["image"]) if "image" in hints else None
    edits = narrowed(PatchedFile(file), state.splice(pieces, hints) if image is None else image)
    outcome = open_state(PatchedFile(file, edits), field, target)
    if not _has_places(outcome, pieces) or joined(effective_genres(outcome)) != joined(genres):
        # Pieces of another tag version or container than the file has now: say the same in its own way.
        edits = narrowed(PatchedFile(file), state.splice(state.compose(genres), {}))
        outcome = open_state(PatchedFile(file, edits), field, target)
    check_outcome(state, outcome, genres)
    return edits


def _has_places(outcome: TagState, pieces: Sequence[Piece]) -> bool:
    """Return whether pieces found their places; tags that only repeat the genre may be gone by now."""
    missing = {piece.place for piece in pieces} - {piece.place for piece in outcome.pieces}
    return all(place.startswith(("id3v1", "ape", "ignr")) for place in missing)


def _contents(pieces: Sequence[Piece]) -> list[tuple[str, bytes]]:
    return sorted((piece.place, piece.data) for piece in pieces)


def check_outcome(before: TagState, after: TagState, genres: Sequence[str]) -> None:
    """Hold that a change says what it should and touches nothing else.

    Raises
    ------
    WriteRefusedError
        If it does not.
    """
    if joined(effective_genres(after)) != joined(genres):
        raise WriteRefusedError(
            f"the genre would be read back as {joined(effective_genres(after))!r}, not {joined(genres)!r}"
        )
    if before.others() != after.others():
        raise WriteRefusedError("writing the genre would change other tags of the file")


def effective_genres(state: TagState) -> tuple[str, ...]:
    """Return the genres a person would read: what the first place that has any says."""
    return next((voice for voice in state.values_by_place if voice), ())


def snapshot(
    state: TagState,
    field: str,
    *,
    layout: Mapping[str, Any] | None = None,
    across: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Return the field of an open file as a value; see `pack` for what can go with it."""
    genres = effective_genres(state)
    raw = pack(state, field, genres, layout=layout, across=across) if state.pieces else None
    return Snapshot(state.container, genres, raw)


def with_open(path: str, work: Callable[[BinaryIO], T], *, shown: str | None = None) -> T:
    """Run `work` on a regular file opened for reading; name the file in what goes wrong.

    Raises
    ------
    TagReadError
        If it cannot be opened or read, or is no regular file.
    """
    name = path if shown is None else shown
    try:
        with memory_budget.in_hand(), os.fdopen(os.open(path, _FLAGS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TagReadError("this is no regular file")
            return work(file)
    except TagError as error:
        error.path = error.path or name
        raise
    except OSError as error:
        raise TagReadError(f"the file cannot be read: {error.strerror or error}", path=name) from error
