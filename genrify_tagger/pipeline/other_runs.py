"""Detect that another run of this program (a second scan, the service) changes a file while this one processes it.

The journal tells: every run writes there before it changes a file, and again when it is done.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from genrify_tagger import tags
from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.journalled_write import POLL_SECONDS, WAIT_SECONDS
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.vacant_places import is_same_file
from genrify_tagger.store import DONE, LEASE, ChangeRecord

_MOST_COPIES = 100  # changes of a song that are looked through for the one of a file that was moved
_VERBS = {"set": "set", "undo": "undone"}


def change_in_flight(
    session: Session, target: str, stat: FileStat, *, audio_key: str | None = None
) -> ChangeRecord | None:
    """Return the change that another run made to a file since its fingerprint was `stat`.

    Waits for a change in progress.

    Parameters
    ----------
    session : Session
    target : str
        The file's real path.
    stat : FileStat
        Its fingerprint when this run found it.
    audio_key : str or None
        Which song it was, if that is known: the file may have been moved since, and be changed where it is now.

    Returns
    -------
    ChangeRecord or None
        None if no run changed it, or if another program did so after that.
    """
    was_pending, newest, now = _wait_for_rest(session, target, audio_key)
    if audio_key is not None and not os.path.lexists(target):
        return _change_elsewhere(session, target, stat, audio_key)
    # The ctime may be later: a run that lost the race exchanges the file for its own, and back.
    if newest is None or now is None or not is_same_file(newest.stat_after, now):
        return None
    return newest if was_pending or stat not in (now, newest.stat_after) else None


def undone_by(session: Session, change: ChangeRecord) -> ChangeRecord | None:
    """Return the change by which another run has undone a change meanwhile, if any; waits for one in progress."""
    wait_for_write(session, change.path)
    fresh = session.store.change(change.id)
    return None if fresh is None or fresh.undone_by is None else session.store.change(fresh.undone_by)


def wait_for_write(session: Session, target: str, audio_key: str | None = None) -> bool:
    """Wait until no running process is writing a file, or its song at a path that it has left; return whether one was.

    The journal has a change in progress at the path at which it was begun.
    """
    deadline, was_pending = time.monotonic() + WAIT_SECONDS, False
    while _is_being_written(session, target, audio_key) and time.monotonic() < deadline:
        was_pending = True
        if session.stop.wait(POLL_SECONDS):
            break
    return was_pending


def left_to_other_run(result: Result, change: ChangeRecord) -> Result:
    """Return the result for a file that another run changed."""
    genres = change.after_genres or ()
    reason = f"{_VERBS.get(change.origin, 'tagged')} by run {change.run}"
    return replace(result, status="kept", reason=reason, before=genres, after=genres, error=None, passing=False)


def _wait_for_rest(
    session: Session, target: str, audio_key: str | None
) -> tuple[bool, ChangeRecord | None, FileStat | None]:
    """Wait until no run is writing a file; return whether one was, the last finished change, and the file after it.

    Between the wait and the look at the file, yet another run may begin to write it, and exchange it for its own for a
    moment before it finds that it lost the race: then what was seen does not go together, and is looked up again.
    """
    deadline, was_pending = time.monotonic() + WAIT_SECONDS, False
    while True:
        was_pending = wait_for_write(session, target, audio_key) or was_pending
        latest, finished = _latest_change(session, target), session.store.last_change(target)
        now = tags.stat_or_none(target)
        is_stable = not _is_being_written(session, target, audio_key) and latest == _latest_change(session, target)
        if is_stable or session.stop.is_set() or time.monotonic() > deadline:
            return was_pending, finished, now


def _is_being_written(session: Session, target: str, audio_key: str | None) -> bool:
    """Tell whether a running process has begun a change; one that was killed left its change to the next start."""
    begun = {
        change.id
        for change in session.store.pending_changes(abandoned=False)
        if change.path == target
        or (audio_key is not None and change.audio_key == audio_key and not os.path.lexists(change.path))
    }
    return bool(begun) and not begun <= {change.id for change in session.store.pending_changes(silence=LEASE)}


def _change_elsewhere(session: Session, target: str, stat: FileStat, audio_key: str) -> ChangeRecord | None:
    """Return the change that another run made to a file after it was moved away from `target`."""
    for change in session.store.changes(audio_key=audio_key, limit=_MOST_COPIES):
        if change.path == target or change.state != DONE or not is_same_file(change.stat_before, stat):
            continue
        now = tags.stat_or_none(change.path)
        if now is not None and is_same_file(change.stat_after, now):
            return change
    return None


def _latest_change(session: Session, target: str) -> ChangeRecord | None:
    return next(session.store.changes(path=target, limit=1), None)
