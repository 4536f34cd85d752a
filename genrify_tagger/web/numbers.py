"""The library in numbers, and what the program is doing, for the overview and the line at the foot of each page."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

from genrify_tagger.files import printable
from genrify_tagger.pipeline import Session
from genrify_tagger.store import NO_GENRE, RUNNING, utc_now
from genrify_tagger.watch.state import LOST, service_state
from genrify_tagger.web.house import house

DAYS = 60
_FRESH_SECONDS = 5.0  # counting reads the whole table

_PHASES = {
    "starting": "is starting",
    "looking": "looks through the library",
    "working": "is listening",
    "idle": "watches and rests",
    "stopping": "is stopping",
}
_BUSY = {"looking", "working"}

Json = dict[str, Any]


class _Kept:
    """The last counting, for those who ask at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: Session | None = None
        self._until = 0.0
        self._value: Json = {}

    def find(self, session: Session) -> Json:
        with self._lock:
            if self._of is not session or time.monotonic() > self._until:
                self._value = _count(session)
                self._of, self._until = session, time.monotonic() + _FRESH_SECONDS
            return self._value


_kept = _Kept()


def overview() -> Json:
    """Return genres, confidence, statuses and changes by day."""
    return _kept.find(house().session)


def service() -> Json:
    """Return what is running, and the numbers that change while it does."""
    session = house().session
    last = session.store.last_run()
    return {
        "counts": overview()["statuses"],
        "last_run": last and {"run": last.id, "command": last.command, "status": last.status},
        "running": last is not None and last.status == RUNNING,
        "service": _in_words(service_state(session.settings)),
    }


def _in_words(state: Json | None) -> Json | None:
    """Return what the background service says of itself, for people: a sentence's end, and facts by name."""
    if state is None:
        return None
    phase, queue, last = state["phase"], state["queue"], state["last_file"]
    away = [root["path"] for root in state["roots"] if root["watching"] == LOST]
    words = str(_PHASES.get(phase, phase)) + (f", {queue:,} files waiting" if queue else "")
    facts = [
        ["Watches", ", ".join(printable(root["path"]) for root in state["roots"])],
        ["Waiting", f"{queue:,} files"],
        ["Pace", f"{state['rate']:g} files a minute"],
        ["Last file", printable(last or "none yet")],
        *(["Away", printable(path)] for path in away),
        *(
            [
                ["Last failure", f"{printable(one['path'])}: {printable(one['error'] or '')}"]
                for one in state["failures"][:1]
            ]
        ),
    ]
    return {"phase": phase, "busy": phase in _BUSY, "words": words, "facts": facts}


def _count(session: Session) -> Json:
    seen = session.store.overview()
    days = session.store.changes_by_day(utc_now() - timedelta(days=DAYS))
    return {
        "statuses": session.store.counts(),
        "genres": [{"name": name, "files": files} for name, files in seen.genres.items() if name != NO_GENRE],
        "without_genre": seen.genres.get(NO_GENRE, 0),
        "confidence": seen.confidence,
        "changes": [{"day": day, "by": by} for day, by in days.items()],
    }
