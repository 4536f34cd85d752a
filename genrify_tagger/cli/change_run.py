"""What `set`, `undo`, `genres tidy` and `audit --keep` share: a run that changes files one by one and reports each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from genrify_tagger.cli import report
from genrify_tagger.cli.context import CliContext
from genrify_tagger.cli.interruptible import interruptible
from genrify_tagger.cli.output import write_json
from genrify_tagger.cli.telling_players import players_told
from genrify_tagger.files import counted
from genrify_tagger.pipeline import Result, Session, Summary, run_record


def run_changes(
    state: CliContext,
    session: Session,
    command: str,
    work: Callable[[int], Iterable[Result]],
    *,
    output_format: str,
    dry_run: bool = False,
    notify: bool = True,
) -> int:
    """Call `work` with a new run's number, report each file, tell the players, and return the exit status."""
    with interruptible(), players_told(session.settings.notify, wanted=notify and not dry_run) as changed:
        with run_record(session, command, sys.argv[1:], dry_run=dry_run) as handle:
            changed.run = handle.number
            for result in work(handle.number):
                _report(state, handle.counts.add(result), output_format)
                if result.status == "tagged":
                    changed.add(result.path)
        counts, run = handle.counts, handle.number
        if not state.quiet:
            state.console.print(_closing(counts, command, run, dry_run=dry_run))
    return int(counts["failed"] > 0)


def _report(state: CliContext, result: Result, output_format: str) -> None:
    if output_format == "jsonl":
        write_json(result.as_json())
    elif not state.quiet or result.status == "failed":
        state.out.print(report.change_line(result))


def _closing(counts: Summary, command: str, run: int, *, dry_run: bool) -> str:
    keeps = command == "audit"
    changed, failed = counts["kept" if keeps else "tagged"], counts["failed"]
    verb = "Kept the genre of" if keeps else "Would change" if dry_run else "Changed"
    summary = f"{verb} {counted(changed, 'file')}"
    summary += f", {failed:,} left alone" if command == "undo" and failed else f", {failed:,} failed" if failed else ""
    if command == "undo" and counts["kept"]:
        summary += f"; {counts['kept']:,} had the former genre already"
    hint = f". To undo this: genrify-tag undo {run}" if changed and not dry_run else "."
    return summary + hint
