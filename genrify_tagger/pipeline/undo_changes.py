"""Undo changes: a run's, a file's or a folder's, file by file; a genre that was changed since is left alone."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from genrify_tagger import tags
from genrify_tagger.errors import ChangedMeanwhileError, DecodeError, GenrifyError, StoreError, WorkerError
from genrify_tagger.files import real_path
from genrify_tagger.library import Candidate
from genrify_tagger.pipeline.journalled_write import (
    TIDY,
    check_writable,
    origin_undone,
    save_file_state,
    write_journalled,
)
from genrify_tagger.pipeline.other_runs import left_to_other_run, undone_by
from genrify_tagger.pipeline.results import Result, error_text
from genrify_tagger.pipeline.scan_folders import discovered
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import meaningful, respected_reason
from genrify_tagger.store import ChangeRecord


def changes_of_run(session: Session, run: int) -> list[ChangeRecord]:
    """Return a run's changes that are not undone yet, newest first."""
    return [change for change in session.store.changes(run=run) if _is_standing(change)]


def last_changing_run(session: Session) -> int | None:
    """Return the newest run that is not an undo and has a change left to undo, if any."""
    standing = (change.run for change in session.store.changes() if _is_standing(change) and change.origin != "undo")
    return next(standing, None)


def changes_under(session: Session, path: str) -> list[ChangeRecord]:
    """Return the newest change that is not undone, for a file or for each file below a folder.

    Songs that were moved there since the last scan are found as well.
    """
    session.moves.follow_below(path)
    _follow_by_audio(session, path)
    newest: dict[str, ChangeRecord] = {}
    for change in session.store.changes(under=real_path(path)):
        if _is_standing(change) and change.origin != "undo":
            newest.setdefault(change.path, change)
    return list(newest.values())


def _follow_by_audio(session: Session, path: str) -> None:
    """Identify the unknown files at or below a path by their audio: they may have been moved one by one."""
    found = [item.target for item in discovered(session.settings.library, [path]) if isinstance(item, Candidate)]
    known = session.store.sightings(found)
    for target in found:
        if target not in known:
            with contextlib.suppress(DecodeError, WorkerError):
                session.moves.follow(target, session.workers.audio_key(target))


def undo_changes(
    session: Session, run: int, changes: Sequence[ChangeRecord], *, dry_run: bool = False
) -> Iterator[Result]:
    """Restore the genres, byte for byte, that the files had before `changes`.

    Parameters
    ----------
    session : Session
    run : int
        Run to record the undo under; it can be undone like any other.
    changes : sequence of ChangeRecord
        The changes to undo, newest first.
    dry_run : bool
        Only report what would happen.

    Yields
    ------
    Result
        "tagged" for a file that has its former genre again, "kept" if it had it already, "failed" if undo refuses.

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    for change in changes:
        if session.stop.is_set():
            return
        path = change.path
        try:
            yield _undo_one(session, run, change, path, dry_run=dry_run)
        except StoreError:
            raise  # affects all files
        except ChangedMeanwhileError as error:
            other = undone_by(session, change)
            failed = _failed(change, path, _named_run(session, change, path) or error)
            yield left_to_other_run(failed, other) if other else failed
        except (GenrifyError, OSError) as error:
            yield _failed(change, path, error)


def _named_run(session: Session, change: ChangeRecord, path: str) -> GenrifyError | None:
    """Return a refusal that names the later run whose genre is in the file, if it was one of this program's."""
    later = session.store.last_change(path, change.audio_key, field=change.field)
    if later is None or later.id <= change.id or not tags.same_genre(later.after, _raw_now(path, change)):
        return None
    verb = "set" if later.origin == "set" else "changed"
    return ChangedMeanwhileError(f"run {later.run} {verb} the genre since", hint=f"undo run {later.run} first")


def _raw_now(path: str, change: ChangeRecord) -> bytes | None:
    try:
        return tags.read(path, field=change.field).raw
    except (GenrifyError, OSError):
        return None


def _failed(change: ChangeRecord, path: str, error: GenrifyError | OSError) -> Result:
    genres = change.after_genres or ()
    return Result(path=path, status="failed", error=error_text(error), before=genres, after=genres)


def _is_standing(change: ChangeRecord) -> bool:
    return change.state == "done" and change.undone_by is None


def _standing_after(session: Session, change: ChangeRecord, genres: Sequence[str]) -> tuple[str, str]:
    """Return status and reason of the file after an undo; after undoing `set`, the next scan decides anew.

    The genre that was there before its spelling was unified is the user's.
    """
    rules = session.settings.tagging
    existing = meaningful(genres, rules.treat_as_missing)
    has_genre = bool(existing)
    if change.origin == "set" or (has_genre and origin_undone(session, change) == TIDY):
        return ("kept", "has a genre") if has_genre else ("unsure", "a genre set by hand was undone")
    return "kept" if has_genre else "skipped", respected_reason("undone", existing, rules)


def _refuse_beets(session: Session, change: ChangeRecord, path: str) -> None:
    """Refuse a change that beets wrote or undid: its library would not know about another program's write."""
    if change.origin == "beets":
        raise GenrifyError("was written by beets", path=path, hint="`beet genrify --undo` undoes it")
    undone: ChangeRecord | None = change
    while undone is not None and undone.origin == "undo":
        undone = session.store.change(undone.undoes) if undone.undoes is not None else None
        if undone is None or undone.origin == "beets":
            raise GenrifyError("was undone by beets", path=path, hint="`beet genrify --force` writes the genre again")


def _undo_one(session: Session, run: int, change: ChangeRecord, path: str, *, dry_run: bool) -> Result:
    _refuse_beets(session, change, path)
    if not os.path.lexists(path):
        raise GenrifyError("the file is gone", path=path, hint="if it was moved, scan its new folder, then undo again")
    plan = tags.plan_restore(path, change.before, field=change.field, expected=change.after)
    if dry_run:
        check_writable(session, plan)
    else:
        stat = write_journalled(session, run, plan, origin="undo", audio_key=change.audio_key, undoes=change.id)
        standing, reason = _standing_after(session, change, plan.after.genres)
        save_file_state(session, path, stat, standing, reason=reason, genres=plan.after.genres)
    status = "tagged" if plan.changes else "kept"
    return Result(path=path, status=status, before=plan.before.genres, after=plan.after.genres)
