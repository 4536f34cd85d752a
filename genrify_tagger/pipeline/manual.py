"""Genres set or kept by hand: journalled like any change, and never overruled by a scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from genrify_tagger import tags
from genrify_tagger.errors import ChangedMeanwhileError, GenrifyError, StoreError
from genrify_tagger.pipeline.incomplete import why_incomplete
from genrify_tagger.pipeline.journalled_write import journal_as_set, save_file_state, write_journalled
from genrify_tagger.pipeline.other_runs import change_in_flight
from genrify_tagger.pipeline.results import Result, error_text
from genrify_tagger.pipeline.session import Session

REASON = "set by hand"


def set_genres(session: Session, run: int, paths: Sequence[str], genres: Sequence[str]) -> Iterator[Result]:
    """Write `genres` into each of `paths`; an empty sequence removes the genre.

    Parameters
    ----------
    session : Session
    run : int
        Run to record the changes under.
    paths : sequence of str
        Files.
    genres : sequence of str
        Names to write; a label of the vocabulary ("hiphop") is written by its name ("Hip-Hop").

    Yields
    ------
    Result
        "tagged", "kept" if the file has these genres already (they count as set by hand from then on), or "failed".

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    names = tuple(dict.fromkeys(_written_form(session, genre) for genre in genres))
    yield from _each(session, paths, lambda path: _set_one(session, run, path, names))


def keep_genres(session: Session, run: int, paths: Sequence[str]) -> Iterator[Result]:
    """Let the genres that files have count as set by hand; no file is changed.

    Yields
    ------
    Result
        "kept", or "failed" if the file has no genre or cannot be read.

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    yield from _each(session, paths, lambda path: _keep_one(session, run, path))


def tag_copy(session: Session, path: str, genres: Sequence[str]) -> None:
    """Write genres into a copy of a file, outside of the library and without journalling.

    Raises
    ------
    GenrifyError, OSError
        If that is not possible; the copy is unchanged.
    """
    names = tuple(_written_form(session, genre) for genre in genres)
    plan = tags.plan_write(path, names, field=session.settings.tagging.field)
    if plan.changes:
        key = session.workers.audio_key(path)
        tags.apply(plan, audio_key=session.workers.audio_key, expected_key=key, ownership="best-effort")


def _each(session: Session, paths: Sequence[str], change: Callable[[str], Result]) -> Iterator[Result]:
    for path in paths:
        if session.stop.is_set():
            return
        try:
            yield change(path)
        except StoreError:
            raise  # affects all files
        except (GenrifyError, OSError) as error:
            yield Result(path=path, status="failed", error=error_text(error))


def _written_form(session: Session, genre: str) -> str:
    """Return the form in which a typed genre is written: the usual name, if it is one of the vocabulary."""
    typed = genre.strip().casefold()
    for label in session.active.vocabulary.labels:
        name = session.words.written_name(label)
        if typed in {label.casefold(), name.casefold()}:
            return name
    return genre.strip()


def _set_one(session: Session, run: int, path: str, names: tuple[str, ...]) -> Result:
    reason = why_incomplete(session, path)
    if reason is not None:
        raise GenrifyError(reason, path=path)
    field = session.settings.tagging.field
    plan = tags.plan_write(path, names, field=field)
    try:
        if plan.changes:
            stat = write_journalled(session, run, plan, origin="set", audio_key=None)
        else:
            stat = journal_as_set(session, run, plan, origin="set")
    except ChangedMeanwhileError:
        if change_in_flight(session, plan.target, plan.stat) is None:
            raise
        return _set_one(session, run, path, names)  # overwriting what another run has just written
    save_file_state(session, path, stat, "kept", reason=REASON, genres=names)
    status = "tagged" if plan.changes else "kept"
    return Result(path=path, status=status, reason=REASON, before=plan.before.genres, after=names, genres=names)


def _keep_one(session: Session, run: int, path: str) -> Result:
    field = session.settings.tagging.field
    snapshot = tags.read(path, field=field)
    if not snapshot.genres:
        raise GenrifyError("has no genre to keep", path=path)
    plan = tags.plan_restore(path, snapshot.raw, field=field, expected=snapshot.raw)  # changes nothing
    stat = journal_as_set(session, run, plan, origin="set")
    genres = plan.before.genres
    save_file_state(session, path, stat, "kept", reason=REASON, genres=genres)
    return Result(path=path, status="kept", reason=REASON, before=genres, after=genres, genres=genres)
