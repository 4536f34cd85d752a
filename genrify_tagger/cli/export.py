"""`genrify-tag export`: the library as CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.arguments import known_path, readable_store
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import format_option, write_json

if TYPE_CHECKING:
    from genrify_tagger.store import FileRecord

FIELDS = (
    "path",
    "status",
    "reason",
    "error",
    "genres",
    "confidence",
    "before",
    "after",
    "duration",
    "container",
    "vocabulary",
    "model",
    "audio_key",
    "seen_at",
)


@click.command()
@click.argument("folder", required=False, type=click.Path())
@format_option("csv", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, folder: str | None, output_format: str) -> None:
    """Print the library as CSV or JSON Lines.

    One row for each scanned file; JSON Lines also hold the score of every genre. Several genres in one CSV field are
    joined with "; ".

    \b
    Examples:
      genrify-tag export > library.csv
      genrify-tag export ~/Music/New --format jsonl
    """  # noqa: D301
    from genrify_tagger.pipeline.moves import MoveTracker

    with readable_store(state) as store:
        under = known_path(store, folder)
        if output_format == "csv":
            _write_row(FIELDS)
        for record in MoveTracker(store).present(store.files_under(under)):
            fields = _fields(record)
            if output_format == "jsonl":
                write_json({"schema": 1, **fields, "scores": dict(record.scores)})
            else:
                _write_row([_cell(fields[name]) for name in FIELDS])


def _fields(record: FileRecord) -> dict[str, Any]:
    from genrify_tagger.files import json_path
    from genrify_tagger.pipeline import container_name

    values = {name: getattr(record, name) for name in FIELDS[1:]}
    values["container"] = container_name(record.container)
    lists = {name: list(values[name]) for name in ("genres", "before", "after")}
    return {**json_path(record.path), **values, **lists, "seen_at": record.seen_at.isoformat()}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return "; ".join(value) if isinstance(value, list) else str(value)


def _write_row(cells: Any) -> None:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    click.echo(line.getvalue().encode("utf-8", "backslashreplace"), nl=False)
