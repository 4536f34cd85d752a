"""`genrify-tag notify`: tell the players in the settings to look for changed files."""

from __future__ import annotations

import os

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import table, write_line
from genrify_tagger.errors import ConfigError


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True), metavar="[PATH]...")
@click.pass_obj
@common_options
def command(state: CliContext, paths: tuple[str, ...]) -> int:
    """Tell your players to look for changes, and show their answers.

    Every command that changes files does so by itself, for the players in section [notify] of the settings. This one
    shows whether these settings are right. PATHs are folders and files that have changed; without any, the players look
    at their whole library. The exit status is 1 if a player cannot be told.

    \b
    Examples:
      genrify-tag notify
      genrify-tag notify ~/Music/Abba
      GENRIFY_NOTIFY__MPD=localhost:6600 genrify-tag notify
    """  # noqa: D301
    from genrify_tagger.notify import ChangedFiles, tell_players

    changed = ChangedFiles(folders={_folder(os.path.realpath(path)) for path in paths})
    answers = tell_players(state.settings().notify, changed)
    if not answers:
        raise ConfigError("no player in section [notify] of the settings", hint='add one, as in mpd = "localhost:6600"')
    rows = [[answer.player, f"failed: {answer.text}" if answer.failed else answer.text] for answer in answers]
    for line in table(["Player", "Answer"], rows):
        write_line(line)
    return int(any(answer.failed for answer in answers))


def _folder(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(path)
