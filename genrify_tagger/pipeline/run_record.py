"""A run in the store: its number, under which changes are journalled, and its counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from genrify_tagger.errors import InterruptedScanError
from genrify_tagger.pipeline.results import Summary
from genrify_tagger.pipeline.session import Session


@dataclass(frozen=True)
class RunHandle:
    """A run in the store (0 for a dry run) and its counts."""

    number: int
    counts: Summary = field(default_factory=Summary)


@contextmanager
def run_record(
    session: Session, command: str, arguments: Sequence[str], *, model: str | None = None, dry_run: bool = False
) -> Iterator[RunHandle]:
    """Record a run in the store for as long as the `with` block lasts; a dry run leaves no trace.

    How the block ends says how the run ended: "done", "interrupted" or "failed". `model` is the id of the model that
    decides, if one does.
    """
    run = RunHandle(0)
    if not dry_run:
        run = RunHandle(session.store.start_run(command, list(arguments), model))
    status = "failed"
    try:
        yield run
        status = "done"
    except (
        KeyboardInterrupt,
        InterruptedScanError,
        BrokenPipeError,
        SystemExit,
    ):  # the last two: the reader of a pipe has gone
        status = "interrupted"
        raise
    finally:
        if not dry_run:
            session.store.finish_run(run.number, status, run.counts)
