"""Read the genre of a file, and plan a change without making it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from genrify_tagger.errors import ChangedMeanwhileError, TagReadError, WriteRefusedError
from genrify_tagger.files import FileStat, file_stat, fingerprint, real_path
from genrify_tagger.tags import genre_names
from genrify_tagger.tags.byte_diff import minimised
from genrify_tagger.tags.byte_patch import BytePatch
from genrify_tagger.tags.containers import open_state
from genrify_tagger.tags.model import (
    Edit,
    Piece,
    Snapshot,
    TagState,
    WritePlan,
    joined,
    pack,
    same_genre,
    unpack,
    with_patch,
)
from genrify_tagger.tags.open_file import with_open
from genrify_tagger.tags.patched_file import PatchedFile


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
    """Plan how to write `genres` into a file; nothing is changed.

    Parameters
    ----------
    path : str
        The file; if it is a symbolic link, its target will be changed.
    genres : sequence of str
        Names as they are to be written; none at all removes the field.
    field : str
        "genre", or the name of a custom field.
    any_name : bool
        Whether names may contain characters at which players split, because another program writes them.

    Returns
    -------
    WritePlan
        Its `changes` is False if every place in the file that has the genre already has this one.

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

    return _plan(path, name, want, tuple(genres))


def plan_restore(
    path: str, raw: bytes | None, *, field: str = "genre", expected: bytes | object | None = ...
) -> WritePlan:
    """Plan how to restore the field from a former raw form; nothing is changed.

    Parameters
    ----------
    path : str
        The file.
    raw : bytes or None
        From `Snapshot.raw`: what to restore; None removes the field.
    field : str
        "genre", or the name of a custom field.
    expected : bytes or None
        What the field must contain now (`same_genre`); if omitted, anything. With the raw form that was journalled
        as the outcome of the change to be undone, the file gets back every byte that the change replaced, unless
        another program changed it in between.

    Raises
    ------
    ChangedMeanwhileError
        If the field is not as `expected`: another program changed it.
    WriteRefusedError, NotTaggableError, TagReadError
        As `plan_write`.
    """
    name = genre_names.check_field(field)
    wanted = None if raw is None else unpack(raw)
    former = unpack(expected) if isinstance(expected, bytes) else None
    patch = _journalled_patch(raw, expected if isinstance(expected, bytes) else None)
    pieces = wanted.pieces if wanted else ()
    places = {piece.place for piece in (*pieces, *(former.pieces if former else ()))}

    def want(state: TagState) -> Sequence[Piece] | None:
        if expected is not ... and not same_genre(snapshot(state, name).raw, cast("bytes | None", expected)):
            raise ChangedMeanwhileError("the genre was changed by another program since", path=path)
        if patch is None and former is not None:
            # Old versions of this program knew fewer places and left the others alone.
            kept = [piece for piece in state.pieces if piece.place not in places]
            return None if _contents([*pieces, *kept]) == _contents(state.pieces) else (*pieces, *kept)
        return None if _contents(pieces) == _contents(state.pieces) else pieces

    genres = wanted.genres if wanted else ()
    return _plan(path, name, want, genres, patch, is_old=patch is None and former is not None)


def _journalled_patch(before: bytes | None, after: bytes | None) -> BytePatch | None:
    """Return the patch that was journalled with two raw forms; rows of old versions have none."""
    patches = (unpack(raw).patch for raw in (after, before) if raw is not None)
    encoded = next((patch for patch in patches if patch is not None), None)
    return None if encoded is None else BytePatch.decode(encoded)


def _plan(
    path: str,
    field: str,
    want: Callable[[TagState], Sequence[Piece] | None],
    genres: Sequence[str],
    patch: BytePatch | None = None,
    *,
    is_old: bool = False,
) -> WritePlan:
    target = real_path(path)

    def work(file: BinaryIO) -> WritePlan:
        seen = fingerprint(os.fstat(file.fileno()))
        view = PatchedFile(file)
        state = open_state(view, field, target)
        before = snapshot(state, field)
        pieces = want(state)
        if pieces is None:
            return WritePlan(path, target, field, before, before, seen, False, ())
        back = None if patch is None else patch.backward(view)
        edits, outcome = _edits(file, state, pieces, None if is_old else genres, field, target, back)
        if not edits:
            return WritePlan(path, target, field, before, before, seen, False, ())
        after = snapshot(outcome, field)
        encoded = BytePatch.of(view, edits).encode()
        if after.raw is not None:
            after = replace(after, raw=with_patch(after.raw, encoded))
        else:
            before = replace(before, raw=with_patch(cast("bytes", before.raw), encoded))
        return WritePlan(path, target, field, before, after, seen, True, edits)

    return with_open(target, work, shown=path)


def replay(
    file: BinaryIO, before_raw: bytes | None, after_raw: bytes | None, *, field: str, target: str
) -> PatchedFile:
    """Return what a journalled change turns a file into, given its former content.

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
        If the change cannot be reconstructed.
    """
    patch = _journalled_patch(before_raw, after_raw)
    if patch is None:  # journalled by an old version
        wanted = None if after_raw is None else unpack(after_raw)
        state = open_state(PatchedFile(file), field, target)
        pieces = wanted.pieces if wanted else ()
        return PatchedFile(file, _edits(file, state, pieces, None, field, target, None)[0])
    edits = patch.forward(PatchedFile(file))
    if edits is None:
        raise TagReadError("the copy of the file is not what the journal says")
    return PatchedFile(file, edits)


def _edits(
    file: BinaryIO,
    state: TagState,
    pieces: Sequence[Piece],
    genres: Sequence[str] | None,
    field: str,
    target: str,
    back: tuple[Edit, ...] | None,
) -> tuple[tuple[Edit, ...], TagState]:
    """Return edits after which the file has `genres` and is otherwise the same, and the state read through them.

    Without `genres`, the values of the pieces count.
    """
    edits: tuple[Edit, ...] = ()
    outcome = state
    for edits in _attempts(PatchedFile(file), state, pieces, genres, back):
        outcome = open_state(PatchedFile(file, edits), field, target)
        says_it = genres is None or joined(effective_genres(outcome)) == joined(genres)
        if _has_places(outcome, pieces) and says_it:
            break
    check_outcome(state, outcome, effective_genres(outcome) if genres is None else genres)
    return edits, outcome


def _attempts(
    view: PatchedFile,
    state: TagState,
    pieces: Sequence[Piece],
    genres: Sequence[str] | None,
    back: tuple[Edit, ...] | None,
) -> Iterator[tuple[Edit, ...]]:
    """Yield the ways to restore the field: the former bytes, the pieces, or new pieces with the same genres."""
    if back is not None:
        yield back
    yield minimised(view, state.splice(pieces))
    # The pieces may be of another tag version or container than the file has now.
    if genres is not None:
        yield minimised(view, state.splice(state.compose(genres)))


def _has_places(outcome: TagState, pieces: Sequence[Piece]) -> bool:
    """Return whether the pieces found their places; tags that only repeat the genre may be gone by now."""
    missing = {piece.place for piece in pieces} - {piece.place for piece in outcome.pieces}
    return all(place.startswith(("id3v1", "ape", "ignr", "mp4:")) for place in missing)


def _contents(pieces: Sequence[Piece]) -> list[tuple[str, bytes]]:
    return sorted((piece.place, piece.data) for piece in pieces)


def check_outcome(before: TagState, after: TagState, genres: Sequence[str]) -> None:
    """Check that a change has the wanted outcome and touches nothing else.

    Raises
    ------
    WriteRefusedError
        If it does not.
    """
    if joined(effective_genres(after)) != joined(genres):
        found = joined(effective_genres(after))
        if not found:
            raise WriteRefusedError("the file's tag is damaged: a genre written there would not be found again")
        raise WriteRefusedError(
            f"the file would still show the genre {found!r}, not {joined(genres) or 'none'!r}: its tag has it in a "
            "place that this program does not write"
        )
    if before.others() != after.others():
        raise WriteRefusedError("writing the genre would change other tags of the file")


def effective_genres(state: TagState) -> tuple[str, ...]:
    """Return the genres that players show: those of the first place that has any."""
    return next((voice for voice in state.values_by_place if voice), ())


def snapshot(state: TagState, field: str) -> Snapshot:
    """Return the field of an open file as a value."""
    genres = effective_genres(state)
    return Snapshot(state.container, genres, pack(state, field, genres) if state.pieces else None)
