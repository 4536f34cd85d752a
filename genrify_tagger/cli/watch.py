"""`genrify-tag watch`: the background service."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genrify_tagger.pipeline import Result
    from genrify_tagger.watch.daemon import Beside

log = logging.getLogger(__name__)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--settle", type=float, metavar="SECONDS", help="Touch a file only after it has been left alone so long.")
@click.option(
    "--polling",
    type=click.Choice(["auto", "always", "never"]),
    help="Find changes by looking instead of being told; by default on network file systems.",
)
@click.option("--poll", "poll_seconds", type=float, metavar="SECONDS", help="How often to look, where that is needed.")
@click.option("--min-confidence", type=float, metavar="0..1", help="Write nothing below this probability.")
@click.option("--jobs", "-j", type=int, metavar="N", help="How many processes listen side by side.")
@click.option("--serve", is_flag=True, help="Also serve the page, where the settings in [web] say.")
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
    """Tag new songs as they come, until stopped.

    PATHs are folders; without any, the roots in the settings are watched. First they are looked through, then every
    file that is new, changed or moved in is tagged once it has been left alone for ten seconds. Ctrl-C ends it.

    To have it started with the system, see `genrify-tag service --help`.

    \b
    Examples:
      genrify-tag watch ~/Music
      genrify-tag watch --settle 60 ~/Downloads ~/Music
      genrify-tag watch --polling always /mnt/nas/music
      genrify-tag watch --serve ~/Music      and open the page on http://127.0.0.1:8650/
      genrify-tag status                     what it is doing
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
        lambda: state.settings(overrides), absolute, tell, arguments=sys.argv[1:], beside=_beside(state, serve=serve)
    )
    service.run()
    return 0


def _need_folder(path: str) -> None:
    """Refuse what is no folder: a mistyped name would be waited for without end."""
    if not os.path.isdir(path):
        what = "not a folder" if os.path.lexists(path) else "no such folder"
        hint = "name folders that are there; one that comes and goes belongs into library.roots in the settings"
        raise ConfigError(what, path=path, hint=f"{hint}, and is waited for")


def _beside(state: CliContext, *, serve: bool) -> Sequence[Beside]:
    if not serve:
        return ()
    from genrify_tagger.cli.serve import page_beside

    return (lambda service: page_beside(state, service.settings),)


def tell(result: Result) -> None:
    """Log a result: one line, or one JSON object with all of it."""
    from genrify_tagger.cli import report

    levels = {"failed": logging.WARNING, "kept": logging.DEBUG, "unchanged": logging.DEBUG}
    fields = result.as_json()
    fields.pop("schema")
    log.log(levels.get(result.status, logging.INFO), "%s", report.line(result).plain, extra=fields)
