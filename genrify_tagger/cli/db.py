"""`genrify-tag db`: check, back up, copy and prune the database."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click

from genrify_tagger.cli.config import settings_file
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.lazy_group import Group
from genrify_tagger.cli.output import table, write_line
from genrify_tagger.files import counted


@click.group(cls=Group)
def command() -> None:
    """Check, back up, copy or prune the database.

    It holds the analysis of each song and the journal of all changes.

    \b
    Examples:
      genrify-tag db check
      genrify-tag db backup ~/backups/
      genrify-tag db copy postgresql://tagger@nas/genrify
    """  # noqa: D301


@command.command()
@click.pass_obj
@common_options
def check(state: CliContext) -> int:
    """Check the database for damage without changing it.

    The exit status is 1 if a problem was found.

    \b
    Examples:
      genrify-tag db check
      genrify-tag db check --database /srv/music/library.db
    """  # noqa: D301
    from genrify_tagger import store

    findings = store.check(state.settings().database.url)
    for finding in findings:
        write_line(finding)
    if not findings:
        write_line("no problems found")
    return 1 if findings else 0


@command.command()
@click.argument("destination", type=click.Path())
@click.pass_obj
@common_options
def backup(state: CliContext, destination: str) -> None:
    """Copy the database to a new file, or into an existing folder.

    DESTINATION is the file or the folder. Scans and the service may keep running.

    \b
    Examples:
      genrify-tag db backup ~/backups/
      genrify-tag db backup /mnt/usb/genrify.db
    """  # noqa: D301
    from genrify_tagger import store

    if os.path.isdir(destination):
        destination = os.path.join(destination, f"genrify-{datetime.now(UTC):%Y%m%d-%H%M%S}.db")
    with store.open_store(state.settings().database.url, create=False) as opened:
        opened.backup(os.path.abspath(destination))
    write_line(f"wrote {destination}")


@command.command()
@click.argument("url")
@click.option("--dry-run", "-n", is_flag=True, help="Check both databases and count; copy nothing.")
@click.pass_obj
@common_options
def copy(state: CliContext, url: str, dry_run: bool) -> None:
    """Copy the library into another database.

    From SQLite to PostgreSQL or back. URL is the SQLAlchemy URL of an empty database, or the path of an SQLite file
    that does not exist yet.

    Everything is copied: analyses, files, runs, the journal with its numbers, what was learned. Each row is read back
    and compared; if one differs, or anything fails, the target stays empty. No scan and no service may run meanwhile.
    The library stays where it is, and in use, until you change the setting `database.url`.

    \b
    Examples:
      genrify-tag db copy --dry-run postgresql://tagger@nas/genrify
      genrify-tag db copy postgresql://tagger@nas/genrify
      genrify-tag --database postgresql://tagger@nas/genrify db copy ~/library.db
    """  # noqa: D301
    from genrify_tagger import store
    from genrify_tagger.watch.lock import no_service

    source_url = state.settings().database.url
    with store.open_store(source_url, create=False) as opened, no_service(opened, source_url):
        with _copy_progress(state) as progress:
            counts = opened.copy_to(url, progress, dry_run=dry_run)
        source, target = opened.name, store.database_name(url)
    rows = [[name, f"{number:,}", "" if dry_run else "all equal"] for name, number in counts.items()]
    for line in table(["table", "rows", ""], rows, right=["rows"]):
        write_line(line)
    total = counted(sum(counts.values()), "row")
    write_line(f"{'would copy' if dry_run else 'copied'} {total} from {source} to {target}")
    if not dry_run:
        variable = "GENRIFY_DATABASE__URL"  # overrides the file
        place = (
            f"the environment, {variable}" if variable in os.environ else f"{settings_file(state)}, under [database]"
        )
        write_line(f"to use the copy, set in {place}:")
        write_line(f"url = {json.dumps(store.url_without_password(url))}")


@contextlib.contextmanager
def _copy_progress(state: CliContext) -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of a copy on a terminal's stderr."""
    from rich import progress as bars

    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    with bars.Progress(
        *columns,
        bars.TimeRemainingColumn(compact=True),
        console=state.console,
        disable=not state.shows_progress,
        transient=True,
    ) as bar:
        tasks: dict[str, bars.TaskID] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done)

        yield advance


@command.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--dry-run", "-n", is_flag=True, help="Show what would be removed; remove nothing.")
@click.pass_obj
@common_options
def prune(state: CliContext, paths: tuple[str, ...], dry_run: bool) -> None:
    """Remove files that no longer exist from the database.

    Without PATH, remove the files that a scan or the service found missing. With PATHs, remove every file at or below
    them that does not exist now: an empty folder counts as emptied on purpose, an unmounted disk as gone for good. The
    journal is kept, so every change can still be undone.

    \b
    Examples:
      genrify-tag db prune --dry-run
      genrify-tag db prune
      genrify-tag db prune ~/Music/Lent      stop waiting for files in a folder that you emptied
    """  # noqa: D301
    from genrify_tagger import store
    from genrify_tagger.cli.arguments import known_path

    with store.open_store(state.settings().database.url, create=False) as opened:
        folders = [real for path in paths if (real := known_path(opened, path))]
        counts = opened.prune(folders or None, dry_run=dry_run)
    verb = "would remove" if dry_run else "removed"
    files = counted(counts["files"], "missing file")
    analyses = counted(counts["analyses"], "analysis", "analyses")
    write_line(f"{verb} {files} and {analyses} no longer in use")
