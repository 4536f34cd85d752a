"""`genrify-tag db`: look after the database."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click

from genrify_tagger.cli.groups import Group
from genrify_tagger.cli.output import write_line
from genrify_tagger.cli.state import State, common_options
from genrify_tagger.errors import StoreError


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
def check(state: State) -> int:
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
def backup(state: State, destination: str) -> None:
    """Copy the database to DESTINATION, a new file or a folder.

    Scans and the service may go on meanwhile.

    \b
    Examples:
      genrify-tag db backup ~/backups/
      genrify-tag db backup /mnt/usb/genrify.db
    """  # noqa: D301
    from genrify_tagger import store

    url = _existing(state)
    if os.path.isdir(destination):
        destination = os.path.join(destination, f"genrify-{datetime.now(UTC):%Y%m%d-%H%M%S}.db")
    with store.open_store(url) as opened:
        opened.backup(os.path.abspath(destination))
    write_line(f"wrote {destination}")


@command.command()
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be dropped.")
@click.pass_obj
@common_options
def prune(state: State, dry_run: bool) -> None:
    """Drop what belongs to files that are gone.

    The journal is kept, so that everything can still be taken back.

    \b
    Examples:
      genrify-tag db prune --dry-run
      genrify-tag db prune
    """  # noqa: D301
    from genrify_tagger import store

    with store.open_store(_existing(state)) as opened:
        counts = opened.prune(dry_run=dry_run)
    verb = "would drop" if dry_run else "dropped"
    write_line(f"{verb} {counts['files']:,} missing files and {counts['analyses']:,} analyses that no file needs")


def _existing(state: State) -> str:
    """Return the database's URL, unless it is a file that does not exist: that would be made, and be of no use."""
    from genrify_tagger.config import sqlite_path

    url = state.settings().database.url
    file = sqlite_path(url)
    if file and not os.path.exists(file):
        raise StoreError("there is no database", path=file, hint="a scan makes one")
    return url
