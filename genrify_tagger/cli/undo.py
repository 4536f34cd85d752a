"""`genrify-tag undo`: take back what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.arguments import RUN
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import format_option
from genrify_tagger.errors import GenrifyError

if TYPE_CHECKING:
    from genrify_tagger.pipeline import Session
    from genrify_tagger.store import ChangeRecord


@click.command()
@click.argument("run", type=RUN, required=False)
@click.option("--path", "-p", type=click.Path(), help="Take back the last change of this file, or of each file below.")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be taken back.")
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, run: int | None, path: str | None, dry_run: bool, output_format: str) -> int:
    """Take back what was written.

    The files get the very bytes back that their genre had before. Without RUN the last run that changed anything is
    taken back; `genrify-tag history` names the runs. A file whose genre somebody changed since is left alone and
    named. Undoing is a run, too: it can be undone.

    \b
    Examples:
      genrify-tag undo                        the last run
      genrify-tag undo 17                     run 17
      genrify-tag undo --path ~/Music/Abba    the last change of each song there
      genrify-tag undo --dry-run
    """  # noqa: D301
    from genrify_tagger.cli.change_run import carry_out
    from genrify_tagger.pipeline import open_session, undo_changes

    if run is not None and path is not None:
        raise click.UsageError("name a RUN or a --path, not both")
    with open_session(state.settings(), files=1, create=False) as session:
        changes = _chosen(session, run, path)
        return carry_out(
            state,
            session,
            "undo",
            lambda number: undo_changes(session, number, changes, dry_run=dry_run),
            output_format=output_format,
            dry_run=dry_run,
        )


def _chosen(session: Session, run: int | None, path: str | None) -> list[ChangeRecord]:
    from genrify_tagger.pipeline import changes_of_run, changes_under, last_changing_run

    if path is not None:
        found = changes_under(session, path)
        nothing = GenrifyError("nothing was written there that could be taken back", path=path)
    else:
        chosen = last_changing_run(session) if run is None else run
        found = changes_of_run(session, chosen) if chosen is not None else []
        what = f"run {chosen} changed nothing, or" if run is not None else "nothing was written yet, or"
        nothing = GenrifyError(f"{what} all of it was taken back already", hint="see 'genrify-tag history'")
    if not found:
        raise nothing
    if _is_of_beets(found):
        raise GenrifyError("that was written by beets", path=path, hint="`beet genrify --undo` takes it back")
    return found


def _is_of_beets(changes: Sequence[ChangeRecord]) -> bool:
    """Tell whether all of these changes are for beets to take back."""
    return all(change.origin == "beets" for change in changes)
