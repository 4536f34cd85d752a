"""`genrify-tag scan`: analyse files and folders and tag them."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.interruptible import interruptible
from genrify_tagger.cli.output import format_option, write_json
from genrify_tagger.cli.telling_players import no_notify_option, players_told
from genrify_tagger.errors import ConfigError
from genrify_tagger.extras import install_command
from genrify_tagger.files import counted, display_path

if TYPE_CHECKING:
    from genrify_tagger.cli.progress import Progress
    from genrify_tagger.config import Settings
    from genrify_tagger.notify import ChangedFiles
    from genrify_tagger.pipeline import Result, Session, Summary
    from genrify_tagger.workers import Workers


log = logging.getLogger(__name__)

_WORTH_LEARNING = 100  # songs with a genre of their own from which on learning is suggested


@click.command(context_settings={"show_default": False})
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--dry-run", "-n", is_flag=True, help="Show what would happen; write nothing but the analysis cache.")
@click.option(
    "--existing",
    type=click.Choice(["keep", "merge", "replace"]),
    help="If a file has a genre: keep it (default), append the new one, or replace it.",
)
@click.option("--min-confidence", type=float, metavar="0..1", help="Write no genre below this confidence.")
@click.option(
    "--tree-level",
    type=click.Choice(["leaf", "parent", "both"]),
    help="Of the genre tree, write the most specific genre that is sure (default), its top genre, or both.",
)
@click.option(
    "--album/--song",
    "scope",
    default=None,
    callback=lambda _context, _option, value: None if value is None else "album" if value else "song",
    help="One genre for all songs of an album, where the album is sure, or each song by itself (default).",
)
@click.option("--max-genres", type=int, metavar="N", help="Maximum number of genres per file.")
@click.option(
    "--changed",
    type=click.Choice(["respect", "ignore"]),
    help="If a genre that the program wrote was removed or changed since: respect that (default) or ignore it.",
)
@click.option("--field", metavar="NAME", help="Tag field to write instead of the genre field.")
@model_option
@click.option("--vocabulary", metavar="NAME", help="Vocabulary to use, learned or of the model.")
@click.option("--segments", type=int, metavar="N", help="Number of 3-second segments to analyse per song.")
@click.option("--jobs", "-j", type=int, metavar="N", help="Number of worker processes.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Analyse on the workers of a Dask scheduler, such as tcp://nas:8786; local starts one here.",
)
@click.option("--include", multiple=True, metavar="GLOB", help="Scan only files that match (repeatable).")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Skip files that match (repeatable).")
@click.option(
    "--force", is_flag=True, help="Also write where a genre that the program wrote was undone, removed or changed."
)
@click.option(
    "--reanalyse", is_flag=True, help="Analyse everything again and update the genres that the program wrote."
)
@click.option("--retry-failed", is_flag=True, help="Retry files that failed and have not changed since.")
@click.option("--incomplete", is_flag=True, default=None, help="Also tag incomplete files, such as half of a download.")
@no_notify_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, /, paths: tuple[str, ...], output_format: str, **options: Any) -> int:
    """Analyse songs and write their genres.

    PATHs are files and folders; without any, scan the roots in the settings. Files that have a genre are kept as they
    are. Running the command again continues an interrupted scan and opens only files that are new or changed.

    \b
    Examples:
      genrify-tag scan ~/Music --dry-run           show what would happen
      genrify-tag scan ~/Music                     tag songs that have no genre
      genrify-tag scan --min-confidence 0.8 .      write only very likely genres
      genrify-tag scan --album ~/Music/Albums      one genre for each album
      genrify-tag scan --existing replace song.mp3
      genrify-tag scan ~/Music --format jsonl > result.jsonl
      genrify-tag scan ~/Music --exclude 'Audiobooks/' --exclude '*.wav'
      genrify-tag scan /srv/music --cluster tcp://nas:8786
    """  # noqa: D301
    dry_run, cluster, notify = (options.pop(key) for key in ("dry_run", "cluster", "notify"))
    own = {key: options.pop(key) for key in ("force", "reanalyse", "retry_failed")}
    settings = state.settings(_overrides(options))
    wanted, missing = _existing(paths or settings.library.roots)
    files = len(wanted) if all(os.path.isfile(path) for path in wanted) else None
    with interruptible(), _workers(settings, cluster, files) as workers:
        from genrify_tagger.pipeline import ScanOptions, open_session

        with (
            open_session(settings, workers=workers) as session,
            players_told(settings.notify, wanted=notify and not dry_run) as changed,
        ):
            report = _Report(state, session, output_format, changed, dry_run=dry_run)
            shows_unchanged = output_format == "jsonl" or state.verbose
            return report.scan(wanted, ScanOptions(**own, describe_unchanged=shows_unchanged)) or int(missing)


def _workers(settings: Settings, cluster: str | None, files: int | None) -> Workers:
    """Return the workers; if files are named, one of them loads its model while the database and the rest is loaded."""
    if cluster:
        return _cluster_workers(settings, cluster)
    from genrify_tagger.workers import workers_for

    workers = workers_for(settings.analysis, files=files)
    if files is not None:
        workers.start()
    return workers


def _cluster_workers(settings: Settings, address: str) -> Workers:
    if importlib.util.find_spec("distributed") is None:
        raise ConfigError("--cluster needs Dask, which is not installed", hint=install_command("cluster"))
    from genrify_tagger.cluster import ClusterWorkers
    from genrify_tagger.workers import pool_options

    workers = ClusterWorkers(
        address=address,
        paths=settings.cluster.paths,
        wait_seconds=settings.cluster.wait_seconds,
        longest=settings.library.max_minutes * 60,
        **pool_options(settings.analysis),
    )
    scheduler = workers.scheduler
    found = counted(len(scheduler.workers), "Dask worker")
    threads = counted(sum(scheduler.workers.values()), "thread")
    log.info("Analysing on %s with %s%s", found, threads, scheduler.dashboard and f"; dashboard: {scheduler.dashboard}")
    return workers


def _existing(paths: Sequence[str]) -> tuple[list[str], bool]:
    """Report the paths that do not exist; return the others, and whether there was one to report.

    A missing audio file passes, as one file that failed: it may have been deleted since the caller listed it.

    Raises
    ------
    ConfigError
        If there is no path, or none of them exists.
    """
    from genrify_tagger.library import is_audio

    if not paths:
        raise ConfigError("no PATH given and no library.roots in the settings", hint="try 'genrify-tag scan ~/Music'")
    missing = [path for path in paths if not is_audio(path) and not _exists(path)]
    if len(missing) == len(paths):
        raise ConfigError("no such file or folder", path=missing[0], hint="nothing was scanned")
    for path in missing:
        log.error("%s: no such file or folder; scanning the others", display_path(path))
    return [path for path in paths if path not in missing], bool(missing)


def _exists(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # hidden by missing permissions: the scan reports why
        pass
    return True


def _overrides(options: dict[str, Any]) -> dict[str, object]:
    from genrify_tagger.config import shipped_choice

    sections = {
        "library": ("include", "exclude"),
        "analysis": ("segments", "jobs", "vocabulary"),
        "tagging": (
            *("existing", "min_confidence", "tree_level", "scope"),
            *("max_genres", "changed", "incomplete", "field"),
        ),
    }
    named = {f"{section}.{key}": options[key] for section, keys in sections.items() for key in keys}
    return named | shipped_choice(options["vocabulary"])


@dataclass
class _Report:
    """Runs the scan and reports it: results to stdout, progress and summary to stderr."""

    state: CliContext
    session: Session
    output_format: str
    changed: ChangedFiles
    dry_run: bool
    analysed: int = 0
    listed_failures: int = 0
    withheld: int = 0
    with_genre: int = 0
    written: Counter[tuple[str, ...]] = field(default_factory=Counter)
    guessed: Counter[str] = field(default_factory=Counter)
    started: float = field(default_factory=time.monotonic)

    def scan(self, paths: list[str], options: Any) -> int:
        from genrify_tagger.cli.progress import Progress
        from genrify_tagger.pipeline import TagWriter, run_record
        from genrify_tagger.pipeline.scan_folders import scan_folders
        from genrify_tagger.pipeline.writers import DryRun

        interrupted = False
        writer = DryRun() if self.dry_run else TagWriter(lambda: run.number)
        try:
            with (
                run_record(
                    self.session, "scan", sys.argv[1:], model=self.session.sidecar.id, dry_run=self.dry_run
                ) as run,
                Progress(
                    self.state, paths, self.session.settings.library, raw_output=self.output_format == "jsonl"
                ) as progress,
                closing(scan_folders(self.session, paths, writer, options)) as results,
            ):
                self.changed.run = run.number
                for result in results:
                    self._print_result(run.counts.add(result), progress)
        except KeyboardInterrupt:
            interrupted = True
            self._print_message("Interrupted; all results so far are kept. Run the same command again to continue.")
        self._close(run.counts, run.number)
        return 130 if interrupted else int(run.counts["failed"] > 0)

    def _print_result(self, result: Result, progress: Progress) -> None:
        from genrify_tagger.cli import report

        self.analysed += result.model != "" and not result.cached
        self.listed_failures += result.status == "failed" and result.listed
        self.withheld += result.withheld
        self.with_genre += result.status == "kept" and result.reason == "has a genre"
        self._count_genre(result)
        if result.status == "tagged":
            self.changed.add(result.path)
        progress.advance(result)
        if self.output_format == "jsonl":
            write_json(result.as_json())
        elif self._is_shown(result):
            self.state.out.print(report.line(result))

    def _count_genre(self, result: Result) -> None:
        if result.status == "tagged" and result.genres:
            self.written[result.path_written] += 1
        elif result.status == "unsure" and result.guess:
            self.guessed[result.guess] += 1

    def _is_shown(self, result: Result) -> bool:
        from genrify_tagger.cli.report import QUIET_STATUSES

        if self.state.quiet:
            return result.status == "failed"
        return self.state.verbose or result.status not in QUIET_STATUSES

    def _close(self, counts: Summary, run: int) -> None:
        from genrify_tagger.cli import report

        seconds = time.monotonic() - self.started
        self._print_message(report.summary(counts, seconds=seconds, analysed=self.analysed, dry_run=self.dry_run))
        for line in report.genre_lines(self.written, self.guessed, dry_run=self.dry_run):
            self._print_message(line)
        if moved := self.session.moves.number:
            whose = "its" if moved == 1 else "their"
            self._print_message(
                f"{counted(moved, 'song has', 'songs have')} moved to a new path and kept {whose} history."
            )
        if self.withheld:
            self._print_message(report.withheld_line(self.withheld))
        if self.with_genre >= _WORTH_LEARNING and not self.dry_run and not self.session.store.vocabularies():
            songs = counted(self.with_genre, "song here has", "songs here have")
            self._print_message(f"{songs} a genre already, from which the program can learn: genrify-tag learn")
        for line in report.next_steps(counts, listed_failures=self.listed_failures, run=run, dry_run=self.dry_run):
            self._print_message(line)

    def _print_message(self, message: str) -> None:
        if self.state.log_format == "json":
            if not self.state.quiet:
                click.echo(json.dumps({"level": "info", "logger": "genrify_tagger", "message": message}), err=True)
        else:
            self.state.console.print(message)
