"""Detect that another run of this program (a second scan, the service) changes a file while this one processes it.

The journal tells: every run writes there before it changes a file, and again when it is done.
"""

from __future__ import annotations

import time
from dataclasses import replace

from genrify_tagger import tags
from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import DONE, FAILED, PENDING, ChangeRecord

_WAIT_SECONDS = 60.0  # for another run's write; the longest is that of a large file on a slow network
_POLL_SECONDS = 0.05
_VERBS = {"set": "set", "undo": "undone"}


def change_in_flight(session: Session, target: str, stat: FileStat) -> ChangeRecord | None:
    """Return the change that another run made to a file since its fingerprint was `stat`.

    Waits for a change in progress.

    Parameters
    ----------
    session : Session
    target : str
        The file's real path.
    stat : FileStat
        Its fingerprint when this run found it.

    Returns
    -------
    ChangeRecord or None
        None if no run changed it, or if another program did so after that.
    """
    was_pending = wait_for_write(session, target)
    newest = _newest_change(session, target)
    if newest is None or newest.state != DONE or newest.stat_after != tags.stat_or_none(target):
        return None
    return newest if was_pending or newest.stat_after != stat else None


def undone_by(session: Session, change: ChangeRecord) -> ChangeRecord | None:
    """Return the change by which another run has undone a change meanwhile, if any; waits for one in progress."""
    wait_for_write(session, change.path)
    fresh = session.store.change(change.id)
    return None if fresh is None or fresh.undone_by is None else session.store.change(fresh.undone_by)


def wait_for_write(session: Session, target: str) -> bool:
    """Wait until no running process is writing a file; return whether one was."""
    deadline = time.monotonic() + _WAIT_SECONDS
    was_pending = False
    while (newest := _newest_change(session, target)) is not None and newest.state == PENDING:
        if time.monotonic() > deadline or any(newest.id == change.id for change in session.store.pending_changes()):
            return was_pending  # it hangs, or its process was killed: the next start resolves it
        was_pending = True
        if session.stop.wait(_POLL_SECONDS):
            return was_pending
    return was_pending


def left_to_other_run(result: Result, change: ChangeRecord) -> Result:
    """Return the result for a file that another run changed."""
    genres = change.after_genres or ()
    reason = f"{_VERBS.get(change.origin, 'tagged')} by run {change.run}"
    return replace(result, status="kept", reason=reason, before=genres, after=genres, error=None, passing=False)


def _newest_change(session: Session, target: str) -> ChangeRecord | None:
    return next((change for change in session.store.changes(path=target, limit=5) if change.state != FAILED), None)
