"""`genrify-tag history`: what was changed and when."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.arguments import RUN, known_path, readable_store, require_run
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import format_option, local_time, table, write_json, write_line, write_text
from genrify_tagger.files import counted, display_path, real_path

if TYPE_CHECKING:
    from genrify_tagger.store import ChangeRecord, RunRecord, Store


@click.command()
@click.argument("run", type=RUN, required=False)
@click.option("--path", "-p", type=click.Path(), help="Only changes to this file, or to files in this folder.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Maximum number of lines.")
@click.option("--all", "all_runs", is_flag=True, help="Include runs that changed nothing.")
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(
    state: CliContext, run: int | None, path: str | None, limit: int, all_runs: bool, output_format: str
) -> None:
    """List what was changed and when.

    Without arguments, list the runs that changed files, newest first. With RUN or --path, list the changes themselves.
    Times are local; JSON Lines include the time zone.

    \b
    Examples:
      genrify-tag history
      genrify-tag history 17
      genrify-tag history --path ~/Music/Abba
    """  # noqa: D301
    from genrify_tagger.pipeline.moves import MoveTracker

    with readable_store(state) as store:
        if run is None and path is None:
            _print_runs(store, limit, output_format, all_runs=all_runs)
            return
        if run is not None:
            require_run(store, run)
        moves = MoveTracker(store)
        unknown = 0 if path is None else moves.follow_below(path)
        changes = list(store.changes(run=run, under=known_path(store, path), limit=limit))
        for change in changes:
            _print_change(change, output_format)
        if not changes and output_format == "text":
            new = None if path is None else moves.moved_to(real_path(path))
            hint = f" The songs have moved to {display_path(new)}." if new else ""
            if unknown:
                were = counted(unknown, "file there was", "files there were")
                hint += f" {were} not scanned yet; if songs were moved there, a scan finds their history."
            write_line(("No changes there." if run is None else f"Run {run} changed nothing there.") + hint)


def _print_runs(store: Store, limit: int, output_format: str, *, all_runs: bool) -> None:
    tally = store.change_counts_by_run()
    changing = (record for record in store.runs(limit=None) if all_runs or record.id in tally)
    shown = [(record, *tally.get(record.id, (0, 0))) for record in islice(changing, limit)]
    if output_format == "jsonl":
        for record, changed, undone in shown:
            write_json(_run_as_json(record, changed, undone))
        return
    if not shown:
        write_line("No changes yet.")
        return
    rows = [
        (
            str(record.id),
            local_time(record.started_at),
            record.command,
            f"{changed:,}",
            f"{undone:,}",
            record.status,
        )
        for record, changed, undone in shown
    ]
    headers = ["run", "started", "command", "changed", "undone", "status"]
    write_text("\n".join(table(headers, rows, right={"run", "changed", "undone"})))


def _run_as_json(record: RunRecord, changed: int, undone: int) -> dict[str, Any]:
    return {
        "schema": 1,
        "run": record.id,
        "command": record.command,
        "arguments": list(record.arguments),
        "model": record.model,
        "status": record.status,
        "started_at": record.started_at.isoformat(),
        "finished_at": record.finished_at and record.finished_at.isoformat(),
        "counts": dict(record.counts),
        "changed": changed,
        "undone": undone,
    }


def _print_change(change: ChangeRecord, output_format: str) -> None:
    from genrify_tagger.files import display_path, json_path

    if output_format == "jsonl":
        write_json(
            {
                "schema": 1,
                **json_path(change.path),
                "id": change.id,
                "run": change.run,
                "origin": change.origin,
                "field": change.field,
                "state": change.state,
                "before": change.before_genres,
                "after": change.after_genres,
                "undoes": change.undoes,
                "undone_by": change.undone_by,
                "at": change.created_at.isoformat(),
            }
        )
        return
    before = ", ".join(change.before_genres or ()) or "(none)"
    after = ", ".join(change.after_genres or ()) or "(none)"
    note = "" if change.state == "done" else f"  ({change.state}{f': {change.error}' if change.error else ''})"
    note += "  (undone since)" if change.undone_by is not None else ""
    when = local_time(change.created_at, seconds=True)
    write_line(f"{when}  run {change.run} {change.origin}  {display_path(change.path)}  {before} -> {after}{note}")
