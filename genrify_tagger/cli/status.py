"""`genrify-tag status`: counts of the library, lists of files by status, the state of the service."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.arguments import known_path, readable_store
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import format_option, local_time, table, write_json, write_line, write_text
from genrify_tagger.errors import ModelError
from genrify_tagger.files import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from genrify_tagger.store import FileRecord, RunRecord

LISTED = ("tagged", "kept", "unsure", "skipped", "failed", "missing")


@click.command()
@click.argument("folder", required=False, type=click.Path())
@click.option("--list", "listed", type=click.Choice(LISTED), help="List the files with this status, and why.")
@click.option("--health", is_flag=True, help="Only check the service; exit status 1 if it is not healthy.")
@format_option("text", "json")
@click.pass_obj
@common_options
def command(state: CliContext, folder: str | None, listed: str | None, health: bool, output_format: str) -> int | None:
    """Summarise the library, list files by status, show the service.

    \b
    Examples:
      genrify-tag status
      genrify-tag status ~/Music/New
      genrify-tag status --list unsure
      genrify-tag status --format json
      genrify-tag status --health           for monitoring: exit status 0 or 1
    """  # noqa: D301
    from genrify_tagger.watch.service_state import service_state

    service = service_state(state.settings())
    if health:
        return _health(service, output_format)
    if listed:
        _list(state, folder, listed, output_format)
    else:
        _count(state, folder, output_format, service)
    return None


def _count(state: CliContext, folder: str | None, output_format: str, service: dict[str, Any] | None) -> None:
    with readable_store(state) as store:
        under = known_path(store, folder)
        counts, failures = store.counts(under), store.failures(under)
        last = next(iter(store.runs(limit=1)), None)
    if output_format == "json":
        run = last and {"id": last.id, "command": last.command, "status": last.status}
        write_json({"schema": 1, "counts": counts, "failures": failures, "last_run": run, "service": service})
        return
    if not counts:
        where = f" in {folder}" if folder else ""
        write_line(f"Nothing scanned{where} yet; run genrify-tag scan {folder or '~/Music'}")
    else:
        _print_counts(counts, failures, last)
    if service is not None and under is None:
        write_line("")
        for line in _service_lines(service):
            write_line(line)


def _print_counts(counts: dict[str, int], failures: dict[str, int], last: RunRecord | None) -> None:
    rows = [(status, f"{counts[status]:,}") for status in LISTED if counts.get(status)]
    write_text("\n".join(table(["status", "files"], [*rows, ("all", f"{sum(counts.values()):,}")], right={"files"})))
    if failures:
        write_text("\nWhy files failed")
        for error, number in failures.items():
            write_line(f"  {number:,} x {error}")
    if last is not None:
        write_line("")
        write_line(f"Last run: {last.id} ({last.command}), {last.status}, {local_time(last.started_at)}")


def _service_lines(service: dict[str, Any]) -> Iterator[str]:
    since = datetime.fromisoformat(service["since"])
    yield f"Service: {service['phase']}, running since {local_time(since)} (process {service['pid']})"
    for root in service["roots"]:
        folders = f", {counted(root['folders'], 'folder')}" if root["watching"] == "native" else ""
        reason = f" ({root['reason']})" if root["reason"] else ""
        how = "events" if root["watching"] == "native" else root["watching"]
        yield f"  {how:<8} {root['path']}{folders}{reason}"
    done = ", ".join(f"{number:,} {status}" for status, number in service["counts"].items())
    waiting = counted(service["queue"], "file")
    yield f"  {waiting} queued; {done or 'none processed'} since the start; {service['rate']:g} per minute"
    if last := service["last_result"]:
        words = ", ".join(last["after"]) or last["error"] or last["reason"] or ""
        at = local_time(datetime.fromisoformat(last["at"]))
        yield f"  last: {last['path']} {last['status']}{f' ({words})' if words else ''}, {at}"
    for failure in service["failures"][:3]:
        yield f"  failed: {failure['path']} ({failure['error']})"


def _health(service: dict[str, Any] | None, output_format: str) -> int:
    from genrify_tagger.watch.service_state import problems

    found = problems(service)
    if output_format == "json":
        write_json({"schema": 1, "healthy": not found, "problems": found, "service": service})
    else:
        for line in found or ["the service is healthy"]:
            write_line(line)
    return 1 if found else 0


def _list(state: CliContext, folder: str | None, status: str, output_format: str) -> None:
    from genrify_tagger.files import json_path
    from genrify_tagger.pipeline.moves import MoveTracker
    from genrify_tagger.store import MISSING

    names = _names(state)
    with readable_store(state) as store:
        listed = store.files_under(known_path(store, folder), [status])
        record = None
        for record in listed if status == MISSING else MoveTracker(store).present(listed):
            if output_format == "json":
                fields = {"status": record.status, "reason": record.reason, "error": record.error}
                analysed = {"confidence": record.confidence, "scores": record.scores}
                write_json({"schema": 1, **json_path(record.path), **fields, **analysed})
            else:
                write_line(_file_line(record, names))
    if record is None and not state.quiet:
        state.console.print(f"No file is {status}.")


def _names(state: CliContext) -> dict[str, str]:
    """Return the names of the labels; empty if the model cannot be loaded, so that `status` works without it."""
    from genrify_tagger.pipeline.label_names import written_names

    try:
        return written_names(state.settings())
    except ModelError:
        return {}


def _file_line(record: FileRecord, names: Mapping[str, str]) -> str:
    from genrify_tagger.decision import likeliest
    from genrify_tagger.files import display_path

    best = likeliest(record.scores, record.confidence)
    guess = f", best guess {names.get(best, best)}" if best and record.status == "unsure" else ""
    return f"{display_path(record.path)}  ({record.error or record.reason or record.status}{guess})"
