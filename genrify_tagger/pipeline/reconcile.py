"""Finish or revert the writes that an earlier run had begun when it was killed."""

from __future__ import annotations

import logging
import os

from genrify_tagger import tags
from genrify_tagger.errors import UnfinishedWriteError
from genrify_tagger.files import display_path
from genrify_tagger.store import ChangeRecord, Store

log = logging.getLogger(__name__)


def reconcile(store: Store) -> None:
    """Resolve changes that are journalled as pending because a run was killed while writing.

    The file itself tells whether the new genre reached it; left-over temporary files are removed. If the disk is away
    or refuses, a later start tries again.
    """
    pending = store.pending_changes()
    # All of them first: the temporary files of one folder are removed together.
    reachable = [change for change in pending if _is_reachable(change) and _has_given_back(change)]
    for change in reachable:
        try:
            state, error = _settle(change)
        except UnfinishedWriteError as unsettled:
            _warn(change, str(unsettled))
            continue
        if store.resolve_change(change.id, state, stat_after=tags.stat_or_none(change.path), error=error):
            _warn(change, error or "it is done")


def _is_reachable(change: ChangeRecord) -> bool:
    """Return whether a file, or at least its folder, is there; if not, its disk may only be unmounted."""
    folder = os.path.dirname(change.path)
    return os.path.lexists(change.path) or (os.path.isdir(folder) and change.backup is None)


def _has_given_back(change: ChangeRecord) -> bool:
    try:
        if change.stat_before is not None:
            tags.restore_exchanged(change.path, change.stat_before, change.after, field=change.field)
    except UnfinishedWriteError as error:
        _warn(change, str(error))
        return False
    return True


def _warn(change: ChangeRecord, outcome: str) -> None:
    log.warning("an earlier run was interrupted while writing %s: %s", display_path(change.path), outcome)


def _settle(change: ChangeRecord) -> tuple[str, str | None]:
    tags.sweep(os.path.dirname(os.path.realpath(change.path)))
    found = tags.recover(change.path, change.before, change.after, change.backup, field=change.field)
    if found == "after":
        return "done", None
    if found == "before":
        return "failed", "interrupted before the file was replaced"
    return "failed", "interrupted, and the genre is neither the old nor the new one"
