"""Statistics of the library and the state of the service, for the overview and the footer."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from genrify_tagger.files import counted, printable
from genrify_tagger.pipeline import Session
from genrify_tagger.store import NO_GENRE, RUNNING, TrackFilter, utc_now
from genrify_tagger.watch.service_state import LOST, service_state

DAYS = 60
_MAX_AGE_SECONDS = 5.0
_COST_FACTOR = 50  # the counts are used for this many times the time they took, since they read the whole table

_PHASES = {
    "starting": "is starting",
    "scanning": "is scanning the library",
    "processing": "is analysing",
    "idle": "is idle",
    "stopping": "is stopping",
}
_BUSY = {"scanning", "processing"}

Json = dict[str, Any]


def threshold_of(session: Session) -> float:
    """Return the threshold: the lowest confidence with which a genre is written."""
    configured = session.settings.tagging.min_confidence
    return session.active.vocabulary.min_confidence if configured is None else configured


class LibraryStats:
    """Cached statistics of a session's library."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._until = 0.0
        self._value: Json = {}

    def current(self) -> Json:
        """Return the statistics, counted again if they are stale."""
        with self._lock:
            if time.monotonic() > self._until:
                started = time.monotonic()
                self._value = _collect(self._session)
                ended = time.monotonic()
                self._until = ended + max(_MAX_AGE_SECONDS, _COST_FACTOR * (ended - started))
            return self._value

    def invalidate(self) -> None:
        """Count again at the next request, because files were changed."""
        self._until = 0.0

    def latest(self) -> Json:
        """Return the last statistics without waiting; stale ones are refreshed in the background."""
        if time.monotonic() > self._until and not self._lock.locked():
            threading.Thread(target=self.current, name="genrify-counting", daemon=True).start()
        return self._value


def service_status(session: Session, stats: LibraryStats) -> Json:
    """Return what is running, and the counts by status."""
    last = session.store.last_run()
    return {
        "counts": {**stats.current()["statuses"], "unsure": stats.current()["unsure_songs"]},
        "last_run": last and {"run": last.id, "command": last.command, "status": last.status},
        "running": last is not None and last.status == RUNNING,
        "service": _describe_service(service_state(session.settings)),
    }


def _describe_service(state: Json | None) -> Json | None:
    """Return the background service's state for display: a phrase, and facts by name."""
    if state is None:
        return None
    phase, queue, last = state["phase"], state["queue"], state["last_file"]
    away = [f"{root['path']}: {root['reason']}" for root in state["roots"] if root["watching"] == LOST]
    words = str(_PHASES.get(phase, phase)) + (f", {counted(queue, 'file')} waiting" if queue else "")
    facts = [
        ["Watches", ", ".join(printable(root["path"]) for root in state["roots"])],
        ["Waiting", counted(queue, "file")],
        ["Rate", f"{state['rate']:g} file{'' if state['rate'] == 1 else 's'} a minute"],
        ["Last file", printable(last or "none yet")],
        *(["Unavailable", printable(path)] for path in away),
        *(
            [
                ["Last failure", f"{printable(one['path'])}: {printable(one['error'] or '')}"]
                for one in state["failures"][:1]
            ]
        ),
    ]
    return {"phase": phase, "busy": phase in _BUSY, "words": words, "facts": facts}


def _collect(session: Session) -> Json:
    seen = session.store.overview()
    statuses = session.store.counts()
    days = session.store.changes_by_day(utc_now() - timedelta(days=DAYS))
    threshold = threshold_of(session)
    return {
        "statuses": statuses,
        "unsure_songs": session.store.count_songs("unsure"),
        "genres": [{"name": name, "files": files} for name, files in seen.genres.items() if name != NO_GENRE],
        "without_genre": seen.genres.get(NO_GENRE, 0),
        "confidence": seen.confidence,
        "threshold": threshold,
        "sure_then": {"sure": statuses.get("tagged", 0), "unsure": statuses.get("unsure", 0)},
        "sure_now": _count_sure(session, threshold),
        "changes": [{"day": day, "by": by} for day, by in days.items()],
    }


def _count_sure(session: Session, threshold: float) -> dict[str, int]:
    """Count the tagged and unsure tracks above and below the current threshold."""
    decided = TrackFilter(statuses=("tagged", "unsure"))
    total = session.store.browse(decided, limit=1).total
    sure = session.store.browse(replace(decided, low=threshold), limit=1).total
    return {"sure": sure, "unsure": total - sure}
