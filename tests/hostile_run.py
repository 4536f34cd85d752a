"""Run a hostile file through the tag code and check the limits: only plain errors, little time, little memory."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genrify_tagger import tags
from genrify_tagger.errors import GenrifyError
from genrify_tagger.tags.mutagen_check import Comparison, compare_fields

MIB = 1 << 20
Compare = Callable[[str, str, str, str], Comparison]


@dataclass(frozen=True)
class Cost:
    """What one file cost: seconds, and MiB of memory above what the process had before."""

    name: str
    outcome: str
    seconds: float
    memory: float


def digest(path: str | Path) -> str:
    """Hash a file; of a giant only what is no hole, by its ends."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= 256 * MIB:
            return hashlib.file_digest(file, "blake2b").hexdigest()
        head = file.read(MIB)
        file.seek(size - MIB)
        return hashlib.blake2b(head + file.read()).hexdigest() + str(size)


def peak() -> float:
    """Return the most memory this process ever had at a time, in MiB, since the last `reset_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def reset_peak() -> float:
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def handle(path: str, compare: Compare = compare_fields) -> Cost:
    """Read, plan, write, undo; hold that it ends in a write that can be taken back to the byte, or in no change.

    Raises
    ------
    AssertionError
        If the file changed without a write that says so, or did not come back.
    Exception
        Whatever else the code under test lets through: that is the failure looked for.
    """
    before, name = digest(path), os.path.basename(path)
    floor = reset_peak()
    begin = time.monotonic()
    outcome = "read"
    try:
        tags.read(path)
        for wanted in (("Jazz",), ()):
            outcome = "planned"
            plan = tags.plan_write(path, wanted)
            assert digest(path) == before
            outcome = "written"
            tags.apply(plan, audio_key=_same, expected_key="", compare=compare)
            assert "; ".join(tags.read(path).genres) == "; ".join(wanted)
            outcome = "undone"
            tags.apply(_back(plan), audio_key=_same, expected_key="", compare=compare)
            assert digest(path) == before, "the undo left other bytes"
    except GenrifyError as error:
        assert str(error).isprintable(), repr(str(error))
        outcome = f"refused when {outcome}: {type(error).__name__}"
    cost = Cost(name, outcome, time.monotonic() - begin, peak() - floor)
    if not outcome.endswith("undone"):
        assert outcome.startswith("refused when undone") or digest(path) == before, "changed though it was refused"
    return cost


def _same(_: str) -> str:
    return ""


def _back(plan: tags.WritePlan) -> tags.WritePlan:
    return tags.plan_restore(plan.path, plan.before.raw, expected=plan.after.raw)
