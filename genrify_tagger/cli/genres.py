"""`genrify-tag genres`: list the genres that your files contain, and unify their spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.lazy_group import Group
from genrify_tagger.cli.output import format_option, table, write_json, write_line
from genrify_tagger.cli.scanned_paths import scanned_paths
from genrify_tagger.cli.telling_players import no_notify_option

if TYPE_CHECKING:
    from genrify_tagger.genre_spelling import UnifiedGenre
    from genrify_tagger.pipeline import Session


@click.group(cls=Group, invoke_without_command=True)
@format_option("text", "json")
@click.pass_context
@common_options
def command(ctx: click.Context, output_format: str) -> None:
    """List the genres in your files, and unify their spelling.

    Lists every genre of the files that were scanned, the wider genre that it is part of, and how your files write it if
    they differ. Nothing is changed. Aliases and words to ignore are in section [genres] of the settings.

    \b
    Examples:
      genrify-tag genres
      genrify-tag genres --format json
      genrify-tag genres tidy
    """  # noqa: D301
    if ctx.invoked_subcommand is not None:
        return
    from genrify_tagger.pipeline import open_session
    from genrify_tagger.pipeline.library_genres import library_genres

    state = ctx.ensure_object(CliContext)
    with open_session(state.settings(), files=1, create=False) as session:
        found, tree = library_genres(session), session.words.tree
    rows = [_as_json(genre, tree) for genre in found]
    if output_format == "json":
        write_json({"schema": 1, "genres": rows})
        return
    if not rows:
        write_line("No scanned file has a genre.")
        return
    for line in table(["Files", "Genre", "Part of", "Written as"], [_cells(row) for row in rows], right={"Files"}):
        write_line(line)


def _as_json(genre: UnifiedGenre, tree: Any) -> dict[str, Any]:
    from genrify_tagger.genre_spelling import spelling

    above = [name.title() if name.islower() else name for name in tree.get(spelling(genre.name), ())[:-1]]
    return {"name": genre.name, "files": genre.files, "words": dict(genre.words), "above": above}


def _cells(row: dict[str, Any]) -> list[str]:
    words = row["words"] if list(row["words"]) != [row["name"]] else {}
    shown = ", ".join(f"{word} ({files:,})" for word, files in words.items())
    return [f"{row['files']:,}", row["name"], " > ".join(row["above"]), shown]


@command.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--write", is_flag=True, help="Write the files; without it, only show what would change.")
@no_notify_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def tidy(state: CliContext, paths: tuple[str, ...], write: bool, notify: bool, output_format: str) -> int:
    """Rewrite genres that are spelled differently from the rest.

    Shows what would change; `--write` changes it. Genres that you set by hand, or that this program wrote, stay as they
    are. PATHs are files and folders that were scanned; without any, the whole library.

    \b
    Examples:
      genrify-tag genres tidy
      genrify-tag genres tidy ~/Music/Jazz --write
    """  # noqa: D301
    from genrify_tagger.cli.change_run import run_changes
    from genrify_tagger.pipeline import open_session
    from genrify_tagger.pipeline.library_genres import tidy_genres

    with open_session(state.settings(), files=1, create=False) as session:
        inside, names = scanned_paths(session.store, paths), _names(session)
        status = run_changes(
            state,
            session,
            "genres tidy",
            lambda run: tidy_genres(session, run, inside, names, dry_run=not write),
            output_format=output_format,
            dry_run=not write,
            notify=notify,
        )
    if not write and not state.quiet:
        state.console.print("Nothing was written: add --write to do so.")
    return status


def _names(session: Session) -> Any:
    from genrify_tagger.genre_spelling import UnifiedNames
    from genrify_tagger.pipeline.library_genres import library_genres

    rules = session.words.spelling
    return UnifiedNames(library_genres(session, rules), rules)
