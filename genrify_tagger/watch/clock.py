"""Detect whether the machine was suspended, from two clocks of which only one counts that time."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

SLEEP_SECONDS = 10.0


@dataclass(frozen=True)
class Clocks:
    """Seconds since boot: without the time spent suspended, and in total."""

    awake: float
    total: float


def read_clocks() -> Clocks:
    """Read both clocks; a system without the second one counts as never suspended."""
    awake = time.monotonic()
    if sys.platform == "linux":
        return Clocks(awake, time.clock_gettime(time.CLOCK_BOOTTIME))
    else:
        return Clocks(awake, awake)


def has_slept(before: Clocks, now: Clocks) -> bool:
    """Return whether the machine was suspended between two readings."""
    return (now.total - before.total) - (now.awake - before.awake) > SLEEP_SECONDS
