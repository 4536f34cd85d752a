"""`genrify-tag watch`: the background service."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genrify_tagger.pipeline import Result
    from genrify_tagger.watch.daemon import Companion

log = logging.getLogger(__name__)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--settle", type=float, metavar="SECONDS", help="Process a file once it has not changed for this long.")
@click.option(
    "--polling",
    type=click.Choice(["auto", "always", "never"]),
    help="Poll for changes instead of using system events; auto: on network file systems.",
)
@click.option("--poll", "poll_seconds", type=float, metavar="SECONDS", help="Interval between polls.")
@click.option("--min-confidence", type=float, metavar="0..1", help="Write no genre below this confidence.")
@model_option
@click.option("--jobs", "-j", type=int, metavar="N", help="Number of worker processes.")
@click.option("--serve", is_flag=True, help="Also serve the web page, as set in [web].")
@click.pass_obj
@common_options
def command(
    state: CliContext,
    paths: tuple[str, ...],
    settle: float | None,
    polling: str | None,
    poll_seconds: float | None,
    min_confidence: float | None,
    jobs: int | None,
    serve: bool,
) -> int:
    """Tag new songs as they arrive, until stopped.

    PATHs are folders; without any, watch the roots in the settings. The command scans them once, then tags every file
    that is added, changed or moved in, as soon as it has not changed for ten seconds. Press Ctrl-C to stop.

    To start it with the system, see `genrify-tag service --help`.

    \b
    Examples:
      genrify-tag watch ~/Music
      genrify-tag watch --settle 60 ~/Downloads ~/Music
      genrify-tag watch --polling always /mnt/nas/music
      genrify-tag watch --serve ~/Music      with the page on http://127.0.0.1:8650/
      genrify-tag status                     show what it is doing
    """  # noqa: D301
    from genrify_tagger.watch.daemon import Service

    state.start(dated=True)
    for path in paths:
        _need_folder(path)
    overrides: dict[str, object] = {
        "watch.settle_seconds": settle,
        "watch.polling": polling,
        "watch.poll_seconds": poll_seconds,
        "tagging.min_confidence": min_confidence,
        "analysis.jobs": jobs,
    }
    absolute = [os.path.abspath(path) for path in paths]
    service = Service(
        lambda: state.settings(overrides),
        absolute,
        log_result,
        arguments=sys.argv[1:],
        companions=_companions(state, serve=serve),
    )
    service.run()
    return 0


def _need_folder(path: str) -> None:
    """Refuse what is not a folder: the service would wait forever for a mistyped name."""
    if not os.path.isdir(path):
        what = "not a folder" if os.path.lexists(path) else "no such folder"
        hint = "to wait for a folder that comes and goes, add it to library.roots in the settings"
        raise ConfigError(what, path=path, hint=hint)


def _companions(state: CliContext, *, serve: bool) -> Sequence[Companion]:
    if not serve:
        return ()
    from genrify_tagger.cli.serve import page_beside

    return (lambda service: page_beside(state, service.settings),)


def log_result(result: Result) -> None:
    """Log a result as one line, or as one JSON object with all its fields."""
    from genrify_tagger.cli import report

    levels = {"failed": logging.WARNING, "kept": logging.DEBUG, "unchanged": logging.DEBUG}
    fields = result.as_json()
    fields.pop("schema")
    log.log(levels.get(result.status, logging.INFO), "%s", report.line(result).plain, extra=fields)
