"""`genrify-tag status`: the library in numbers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.output import format_option, table, write_json, write_line, write_text
from genrify_tagger.cli.state import State, common_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from genrify_tagger.store import FileRecord

LISTED = ("tagged", "kept", "unsure", "skipped", "failed", "missing")


@click.command()
@click.argument("folder", required=False, type=click.Path())
@click.option("--list", "listed", type=click.Choice(LISTED), help="Name the files of this status, with reasons.")
@format_option("text", "json")
@click.pass_obj
@common_options
def command(state: State, folder: str | None, listed: str | None, output_format: str) -> None:
    """Count the library; list what is unsure or failed.

    \b
    Examples:
      genrify-tag status
      genrify-tag status ~/Music/New
      genrify-tag status --list unsure
      genrify-tag status --format json
    """  # noqa: D301
    from genrify_tagger.pipeline import open_memory

    under = os.path.realpath(folder) if folder else None
    with open_memory(state.settings()) as store:
        if listed:
            _list(store.files_under(under, [listed]), output_format)
            return
        counts, failures = store.counts(under), store.failures(under)
        last = next(iter(store.runs(limit=1)), None)
    if output_format == "json":
        run = last and {"id": last.id, "command": last.command, "status": last.status}
        write_json({"schema": 1, "counts": counts, "failures": failures, "last_run": run})
        return
    if not counts:
        write_line("Nothing was scanned yet: genrify-tag scan ~/Music")
        return
    rows = [(status, f"{counts[status]:,}") for status in LISTED if counts.get(status)]
    write_text("\n".join(table(["status", "files"], [*rows, ("all", f"{sum(counts.values()):,}")], right={"files"})))
    if failures:
        write_text("\nWhy files failed")
        for error, number in failures.items():
            write_line(f"  {number:,} x {error}")
    if last is not None:
        write_line("")
        write_line(f"Last run: {last.id} ({last.command}), {last.status}, {last.started_at:%Y-%m-%d %H:%M} UTC")


def _list(records: Iterable[FileRecord], output_format: str) -> None:
    from genrify_tagger.files import display_path, json_path

    for record in records:
        if output_format == "json":
            fields = {"status": record.status, "reason": record.reason, "error": record.error}
            write_json({**json_path(record.path), **fields, "confidence": record.confidence, "scores": record.scores})
            continue
        best = max(record.scores, key=lambda label: record.scores[label]) if record.scores else None
        guess = f", perhaps {best}" if best and record.status == "unsure" else ""
        write_line(f"{display_path(record.path)}  ({record.error or record.reason or record.status}{guess})")
