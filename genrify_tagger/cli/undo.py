"""`genrify-tag undo`: restore the genres that a run replaced."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.arguments import RUN, require_run
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import format_option
from genrify_tagger.cli.telling_players import no_notify_option
from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import display_path, real_path

if TYPE_CHECKING:
    from genrify_tagger.pipeline import Session
    from genrify_tagger.store import ChangeRecord


@click.command()
@click.argument("run", type=RUN, required=False)
@click.option(
    "--path", "-p", type=click.Path(), help="Undo the last change to this file, or to each file in this folder."
)
@click.option("--dry-run", "-n", is_flag=True, help="Show what would be undone; change nothing.")
@no_notify_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(
    state: CliContext, run: int | None, path: str | None, dry_run: bool, notify: bool, output_format: str
) -> int:
    """Restore the genres that a run replaced.

    Restores the exact bytes that the run replaced. Without RUN, undo the last run that changed anything;
    `genrify-tag history` lists the runs. A file whose genre was changed since is left alone and reported. An undo is a
    run, too, and can itself be undone.

    \b
    Examples:
      genrify-tag undo                        the last run
      genrify-tag undo 17                     run 17
      genrify-tag undo --path ~/Music/Abba    the last change to each song there
      genrify-tag undo --dry-run
    """  # noqa: D301
    from genrify_tagger.cli.change_run import run_changes
    from genrify_tagger.pipeline import open_session, undo_changes

    if run is not None and path is not None:
        raise click.UsageError("give a RUN or a --path, not both")
    with open_session(state.settings(), files=1, create=False, needs_model=False) as session:
        changes = _chosen(session, run, path)
        return run_changes(
            state,
            session,
            "undo",
            lambda number: undo_changes(session, number, changes, dry_run=dry_run),
            output_format=output_format,
            dry_run=dry_run,
            notify=notify,
        )


def _chosen(session: Session, run: int | None, path: str | None) -> list[ChangeRecord]:
    from genrify_tagger.pipeline import changes_of_run
    from genrify_tagger.pipeline.undo_changes import changes_under, last_changing_run

    if path is not None:
        found = changes_under(session, path)
        new = session.moves.moved_to(real_path(path))
        hint = f"the songs have moved; undo --path {shlex.quote(display_path(new))}" if new else None
        nothing = GenrifyError("there is nothing to undo", path=path, hint=hint)
    else:
        if run is not None:
            require_run(session.store, run)
        chosen = last_changing_run(session) if run is None else run
        found = changes_of_run(session, chosen) if chosen is not None else []
        what = f"run {chosen} changed nothing" if run is not None else "no run has changed anything"
        nothing = GenrifyError(f"{what}, or all of it is already undone", hint="see 'genrify-tag history'")
    if not found:
        raise nothing
    if _is_of_beets(found):
        raise GenrifyError("beets wrote these changes", path=path, hint="undo them with `beet genrify --undo`")
    return found


def _is_of_beets(changes: Sequence[ChangeRecord]) -> bool:
    """Return whether beets wrote all of these changes, so that beets must undo them."""
    return all(change.origin == "beets" for change in changes)
