"""Clocks that tell whether the machine slept."""

from __future__ import annotations

import time
from dataclasses import dataclass

NAP = 10.0


@dataclass(frozen=True)
class Clocks:
    """Seconds since the machine was started: those that it was awake, and all."""

    awake: float
    in_all: float


def awake_and_asleep() -> Clocks:
    """Read both clocks; where the system has no second one, it is taken to be awake always."""
    awake = time.monotonic()
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return Clocks(awake, awake if boot is None else time.clock_gettime(boot))


def has_slept(before: Clocks, now: Clocks) -> bool:
    """Tell whether the machine slept between two readings."""
    return (now.in_all - before.in_all) - (now.awake - before.awake) > NAP
