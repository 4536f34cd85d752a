"""Taking changes back: a run's, a file's or a folder's, file by file, and never over somebody else's change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from genrify_tagger import tags
from genrify_tagger.errors import GenrifyError, StoreError
from genrify_tagger.pipeline.journalled_write import save_file_state, write_journalled
from genrify_tagger.pipeline.process_file import error_text
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import ChangeRecord


def changes_of_run(session: Session, run: int) -> list[ChangeRecord]:
    """Return what a run changed and nobody took back yet, newest first."""
    return [change for change in session.store.changes(run=run) if _is_standing(change)]


def last_changing_run(session: Session) -> int | None:
    """Return the newest run with a change that still stands and took nothing back itself, if any."""
    standing = (change.run for change in session.store.changes() if _is_standing(change) and change.origin != "undo")
    return next(standing, None)


def changes_under(session: Session, path: str) -> list[ChangeRecord]:
    """Return, for a file or each file below a folder, the newest change of ours that still stands."""
    newest: dict[str, ChangeRecord] = {}
    for change in session.store.changes(under=os.path.realpath(path)):
        if _is_standing(change) and change.origin != "undo":
            newest.setdefault(change.path, change)
    return list(newest.values())


def undo_changes(
    session: Session, run: int, changes: Sequence[ChangeRecord], *, dry_run: bool = False
) -> Iterator[Result]:
    """Give the files back the genres (the very bytes) that they had before `changes`.

    Parameters
    ----------
    session : Session
        The open run's resources.
    run : int
        Run to book the undoing on; it can be undone like any other.
    changes : sequence of ChangeRecord
        What to take back, newest first.
    dry_run : bool
        Only say what would happen.

    Yields
    ------
    Result
        "tagged" for a file that was given its former genre back, "kept" where that is what it says already, "failed"
        where it is refused.

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    for change in changes:
        if session.stop.is_set():
            return
        path = _whereabouts(session, change)
        try:
            yield _undo_one(session, run, change, path, dry_run=dry_run)
        except StoreError:
            raise  # no single file's failure
        except (GenrifyError, OSError) as error:
            yield Result(
                path=path,
                status="failed",
                error=error_text(error),
                before=change.after_genres or (),
                after=change.after_genres or (),
            )


def _is_standing(change: ChangeRecord) -> bool:
    return change.state == "done" and change.undone_by is None


def _whereabouts(session: Session, change: ChangeRecord) -> str:
    """Return where the changed file is now: it may have been moved since."""
    if os.path.lexists(change.path) or change.audio_key is None:
        return change.path
    for path in session.store.find_paths_by_audio_key(change.audio_key):
        try:
            if tags.same_genre(tags.read(path, field=change.field).raw, change.after):
                return path
        except (GenrifyError, OSError):
            continue
    return change.path


def _standing_after(change: ChangeRecord, genres: Sequence[str]) -> tuple[str, str]:
    """Return status and reason of a file then; where a human's word was taken back it is to be decided again."""
    if change.origin == "set":
        return ("kept", "has a genre") if genres else ("unsure", "what was set by hand was taken back")
    return "kept" if genres else "skipped", "its genre was undone; --force writes again"


def _refuse_beets(session: Session, change: ChangeRecord, path: str) -> None:
    """Refuse a change that beets wrote, or undid: its library would not know of another program's write."""
    if change.origin == "beets":
        raise GenrifyError("was written by beets", path=path, hint="`beet genrify --undo` takes it back")
    undone: ChangeRecord | None = change
    while undone is not None and undone.origin == "undo":
        undone = session.store.change(undone.undoes) if undone.undoes is not None else None
        if undone is None or undone.origin == "beets":
            raise GenrifyError("was undone by beets", path=path, hint="`beet genrify --force` writes the genre again")


def _undo_one(session: Session, run: int, change: ChangeRecord, path: str, *, dry_run: bool) -> Result:
    _refuse_beets(session, change, path)
    plan = tags.plan_restore(path, change.before, field=change.field, expected=change.after)
    if not dry_run:
        stat = write_journalled(session, run, plan, origin="undo", audio_key=change.audio_key, undoes=change.id)
        standing, reason = _standing_after(change, plan.after.genres)
        save_file_state(session, path, stat, standing, reason=reason, genres=plan.after.genres)
    status = "tagged" if plan.changes else "kept"
    return Result(path=path, status=status, before=plan.before.genres, after=plan.after.genres)
