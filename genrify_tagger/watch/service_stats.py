"""Counts of what the service has done since its start, in constant memory."""

from __future__ import annotations

import time
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from genrify_tagger.files import json_path
from genrify_tagger.pipeline import Result

MINUTES = 10
LATEST = 10


class ServiceStats:
    """Results by status, the last result, the rate and the latest failures."""

    def __init__(self) -> None:
        self.since = datetime.now(UTC)
        self.counts: Counter[str] = Counter()
        self._last: dict[str, Any] | None = None
        self._failures: deque[dict[str, Any]] = deque(maxlen=LATEST)
        self._minutes: deque[tuple[int, int]] = deque(maxlen=MINUTES)  # minute of the clock, files in it

    def add(self, result: Result) -> None:
        """Count a result."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.counts[result.status] += 1
        self._last = {key: value for key, value in result.as_json().items() if key != "scores"} | {"at": at}
        if result.status == "failed":
            self._failures.appendleft({**json_path(result.path), "error": result.error, "at": at})
        minute = int(time.monotonic() // 60)
        number = self._minutes.pop()[1] if self._minutes and self._minutes[-1][0] == minute else 0
        self._minutes.append((minute, number + 1))

    @property
    def rate(self) -> float:
        """Files per minute over the last ten minutes."""
        now = int(time.monotonic() // 60)
        return sum(number for minute, number in self._minutes if now - minute < MINUTES) / MINUTES

    def as_json(self) -> dict[str, Any]:
        """Return the statistics as a part of the service's state."""
        return {
            "since": self.since.isoformat(timespec="seconds"),
            "last_file": self._last["path"] if self._last else None,
            "last_result": self._last,
            "counts": dict(self.counts),
            "rate": round(self.rate, 1),
            "failures": list(self._failures),
        }
