"""`genrify-tag db`: check, back up and prune the database."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.lazy_group import Group
from genrify_tagger.cli.output import write_line
from genrify_tagger.files import counted


@click.group(cls=Group)
def command() -> None:
    """Check, back up or prune the database.

    It holds the analysis of each song and the journal of all changes.

    \b
    Examples:
      genrify-tag db check
      genrify-tag db backup ~/backups/
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

    DESTINATION is that file or folder.

    Scans and the service may keep running.

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
