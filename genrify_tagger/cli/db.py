"""`genrify-tag db`: look after the database."""

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
    """Check, back up or tidy the database.

    It holds what was heard of each song, and the journal of all changes.

    \b
    Examples:
      genrify-tag db check
      genrify-tag db backup ~/backups/
    """  # noqa: D301


@command.command()
@click.pass_obj
@common_options
def check(state: CliContext) -> int:
    """Look for damage, changing nothing.

    The exit status is 1 if something was found.

    \b
    Examples:
      genrify-tag db check
      genrify-tag db check --database /srv/music/genrify.db
    """  # noqa: D301
    from genrify_tagger import store

    findings = store.check(state.settings().database.url)
    for finding in findings:
        write_line(finding)
    if not findings:
        write_line("the database is sound")
    return 1 if findings else 0


@command.command()
@click.argument("destination", type=click.Path())
@click.pass_obj
@common_options
def backup(state: CliContext, destination: str) -> None:
    """Copy the database to DESTINATION, a new file or a folder.

    Scans and the service may go on meanwhile.

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
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be dropped.")
@click.pass_obj
@common_options
def prune(state: CliContext, paths: tuple[str, ...], dry_run: bool) -> None:
    """Drop what belongs to files that are gone.

    Without PATH: the files that a scan or the service found missing. With PATHs: only files at or below these, and all
    of them that are not there now. A folder that is empty is taken to be emptied on purpose, and a disk that is away to
    be gone for good. The journal is kept, so that everything can still be taken back.

    \b
    Examples:
      genrify-tag db prune --dry-run
      genrify-tag db prune
      genrify-tag db prune ~/Music/Lent      it was emptied, and shall not be waited for
    """  # noqa: D301
    from genrify_tagger import store
    from genrify_tagger.cli.arguments import known_place

    with store.open_store(state.settings().database.url, create=False) as opened:
        folders = [place for path in paths if (place := known_place(opened, path))]
        counts = opened.prune(folders or None, dry_run=dry_run)
    verb = "would drop" if dry_run else "dropped"
    files = counted(counts["files"], "missing file")
    analyses = counted(counts["analyses"], "analysis", "analyses")
    write_line(f"{verb} {files} and {analyses} that no file needs")
