"""Write a genre: journal it as pending, write the file, journal it as done. Files are changed in no other way."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from genrify_tagger import tags
from genrify_tagger.errors import GenrifyError, UnfinishedWriteError
from genrify_tagger.files import FileStat, real_path
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance
from genrify_tagger.store import ChangeInProgressError, ChangeRecord
from genrify_tagger.tags import Snapshot, WritePlan

WAIT_SECONDS = 60.0  # for another process's write; the longest is that of a large file on a slow network
POLL_SECONDS = 0.05
TIDY = "tidy"  # origin of changes that only unify the spelling of a genre


def write_journalled(
    session: Session,
    run: int,
    plan: WritePlan,
    *,
    origin: str,
    audio_key: str | None,
    key_stat: FileStat | None = None,
    undoes: int | None = None,
) -> FileStat:
    """Carry out a plan, journalled before and after.

    Parameters
    ----------
    session : Session
    run : int
        Run to record the change under.
    plan : WritePlan
        From `tags.plan_write` or `tags.plan_restore`.
    origin : str
        What requested the change: "scan", "set", "undo", ...
    audio_key : str or None
        The song's identity before the write; None if that, and where the song was before, is not known yet.
    key_stat : FileStat or None
        The file's fingerprint when its audio key was computed, if known.
    undoes : int or None
        The change that this one undoes.

    Returns
    -------
    FileStat
        The file's fingerprint after the write.

    Raises
    ------
    TagError, WorkerError, OSError
        If nothing was written.
    UnfinishedWriteError
        If only the next start can find out what was written: the change stays pending in the journal until then.
    """
    key = audio_key or _identify_moved(session, plan)
    # Only then does the key prove that the audio of the file is still the song's.
    is_current = audio_key is None or key_stat == plan.stat
    with uninterrupted():
        return _write(session, run, plan, origin=origin, key=key, is_current=is_current, undoes=undoes)


def _identify_moved(session: Session, plan: WritePlan) -> str:
    """Return the audio key of a file whose song may have moved there, and take the song's history there."""
    key = session.workers.audio_key(plan.target)
    session.moves.follow(plan.target, key)
    return key


def _write(
    session: Session, run: int, plan: WritePlan, *, origin: str, key: str, is_current: bool, undoes: int | None
) -> FileStat:
    tagging = session.settings.tagging
    change = begin_change(session, run, plan, origin=origin, audio_key=key, undoes=undoes)
    try:
        stat = tags.apply(
            plan,
            audio_key=session.workers.audio_key,
            expected_key=key,
            has_audio_of=session.workers.has_audio_of if is_current else None,
            compare=session.workers.compare_tags,
            keep_mtime=tagging.keep_mtime,
            hardlinks=tagging.hardlinks,
            ownership=tagging.ownership,
        )
    except UnfinishedWriteError:
        raise
    except (GenrifyError, OSError) as error:
        session.store.finish_change(change, "failed", error=str(error))
        raise
    session.store.finish_change(change, "done", stat_after=stat)
    return stat


def check_writable(session: Session, plan: WritePlan) -> None:
    """Check that a plan could be carried out, with the same checks as the write itself; for dry runs.

    Raises
    ------
    TagError
        If it could not: the error that the write would raise.
    """
    tagging = session.settings.tagging
    refusal = tags.write_refusal(plan, hardlinks=tagging.hardlinks, ownership=tagging.ownership)
    if refusal is not None:
        raise refusal


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM until the write is finished; they take effect at the end of the block.

    They interrupt the main thread only, so in other threads this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in former:
        signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if held:
            signal.raise_signal(held[0])


def journal_as_set(session: Session, run: int, plan: WritePlan, *, origin: str) -> FileStat:
    """Journal a plan that changes nothing, so that the genre in the file counts as set by hand.

    It is journalled once only: a second entry would hide the change that an undo is meant for.
    """
    key = _identify_moved(session, plan)
    last = last_decisive_change(session, plan.target, key)
    is_known = provenance_of(last, plan.before, key) is not Provenance.NOT_WRITTEN
    if last is not None and last.origin == origin and is_known and tags.same_genre(last.after, plan.before.raw):
        return plan.stat
    change = begin_change(session, run, plan, origin=origin, audio_key=key, undoes=None)
    session.store.finish_change(change, "done", stat_after=plan.stat)
    return plan.stat


def begin_change(
    session: Session, run: int, plan: WritePlan, *, origin: str, audio_key: str, undoes: int | None
) -> int:
    """Journal a plan as pending and return the change's number; the song's older changes are at its path already.

    Waits for the write of another process.

    Raises
    ------
    ChangedMeanwhileError
        If another process was interrupted while it wrote the file, or has taken the file over.
    """
    deadline, is_resolved = time.monotonic() + WAIT_SECONDS, False
    while True:
        try:
            return _begin_change(session, run, plan, origin=origin, audio_key=audio_key, undoes=undoes)
        except ChangeInProgressError as error:
            if error.is_abandoned and not is_resolved:
                reconcile(session.store)
                is_resolved = True
            elif error.is_silent or time.monotonic() > deadline or session.stop.wait(POLL_SECONDS):
                raise


def _begin_change(
    session: Session, run: int, plan: WritePlan, *, origin: str, audio_key: str, undoes: int | None
) -> int:
    return session.store.begin_change(
        run=run,
        path=plan.target,
        field=session.settings.tagging.field,
        before=plan.before.raw,
        after=plan.after.raw,
        before_genres=plan.before.genres,
        after_genres=plan.after.genres,
        audio_key=audio_key,
        stat_before=plan.stat,
        origin=origin,
        undoes=undoes,
        backup=tags.backup_path(plan) if session.settings.tagging.hardlinks == "in-place" else None,
        claimed_by=session.claims.owner if session.claims.holds(plan.target) else None,
    )


def provenance_of(change: ChangeRecord | None, snapshot: Snapshot, audio_key: str) -> Provenance:
    """Return the provenance of the present genre, given the journal's last change at its path."""
    if change is None or change.audio_key != audio_key:
        return Provenance.NOT_WRITTEN
    if change.origin == "set":
        return Provenance.SET_BY_HAND
    if not tags.same_genre(change.after, snapshot.raw):
        return Provenance.CHANGED_SINCE
    if change.origin == "undo":
        return Provenance.UNDONE
    return Provenance.WRITTEN_BY_PROGRAM


def last_decisive_change(session: Session, path: str, audio_key: str) -> ChangeRecord | None:
    """Return the journal's last change that says whose a song's genre is; one of its spelling alone does not."""
    field = session.settings.tagging.field
    change = session.store.last_change(path, audio_key, field=field)
    while change is not None and origin_undone(session, change) == TIDY:
        change = session.store.last_change(path, audio_key, field=field, before=change.id)
    return change


def origin_undone(session: Session, change: ChangeRecord) -> str:
    """Return what requested a change; of an undo, what requested the change that it undoes or restores."""
    undone: ChangeRecord | None = change
    while undone is not None and undone.origin == "undo":
        change = undone
        undone = session.store.change(undone.undoes) if undone.undoes is not None else None
    return change.origin if undone is None else undone.origin


def save_file_state(
    session: Session, path: str, stat: FileStat, status: str, *, reason: str, genres: Sequence[str]
) -> None:
    """Update the store's record of a file after a change outside of a scan, so that the next scan recognises it."""
    target = real_path(path)
    known = session.store.files([target]).get(target)
    if known is not None:
        changed = replace(known, stat=stat, status=status, reason=reason, error=None, after=tuple(genres))
        session.store.save_files([changed])
