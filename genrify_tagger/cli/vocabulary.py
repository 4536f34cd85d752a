"""`genrify-tag vocabulary`: list, show, use, delete, export and import what was learned."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger import open_files
from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.lazy_group import Group
from genrify_tagger.cli.output import format_option, local_time, table, write_json, write_line
from genrify_tagger.errors import ConfigError, GenrifyError
from genrify_tagger.files import display_path, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from genrify_tagger.store import Store, StoredVocabulary


@click.group(cls=Group)
def command() -> None:
    """List, use, delete or share learned vocabularies.

    `use` chooses one until further notice, `scan --vocabulary NAME` for one run. No file is changed.

    \b
    Examples:
      genrify-tag vocabulary list
      genrify-tag vocabulary export mine mine.genrify
    """  # noqa: D301


def _say(state: CliContext, text: str) -> None:
    """Print on stderr what was done."""
    if not state.quiet:
        state.console.print(printable(text))


def _open_store(state: CliContext) -> AbstractContextManager[Store]:
    from genrify_tagger.store import open_store

    return open_store(state.settings().database.url, create=False)


def _find(store: Store, name: str) -> StoredVocabulary:
    known = {vocabulary.name: vocabulary for vocabulary in store.vocabularies()}
    if name not in known:
        hint = f"the learned ones are {', '.join(known)}" if known else "`genrify-tag learn` makes one"
        raise GenrifyError(f"there is no learned vocabulary {name!r}", hint=hint)
    return known[name]


@command.command("list")
@format_option("text", "json")
@click.pass_obj
@common_options
def list_(state: CliContext, output_format: str) -> None:
    """List the learned vocabularies.

    \b
    Examples:
      genrify-tag vocabulary list
    """  # noqa: D301
    with _open_store(state) as store:
        found = store.vocabularies()
    rows = [_summary(vocabulary) for vocabulary in found]
    if output_format == "json":
        write_json({"schema": 1, "vocabularies": rows})
        return
    if not rows:
        write_line("None yet; `genrify-tag learn` makes one.")
        return
    cells = [
        [row["name"], "yes" if row["in_use"] else "no", str(row["genres"]), f"{row['songs']:,}", local_time(at)]
        for row, at in zip(rows, (vocabulary.created_at for vocabulary in found), strict=True)
    ]
    for line in table(["Name", "In use", "Genres", "Songs", "Saved"], cells, right={"Genres", "Songs"}):
        write_line(line)


def _summary(vocabulary: StoredVocabulary) -> dict[str, Any]:
    from genrify_tagger.learned_vocabulary import learned_vocabulary

    learned = learned_vocabulary(vocabulary.content)
    return {
        "name": vocabulary.name,
        "in_use": vocabulary.in_use,
        "genres": len(learned.genres),
        "songs": learned.report.get("songs", 0),
        "learned": vocabulary.created_at.isoformat(),
    }


@command.command()
@click.argument("name")
@format_option("text", "json")
@click.pass_obj
@common_options
def show(state: CliContext, name: str, output_format: str) -> None:
    """Show the genres of a vocabulary, with precision and coverage.

    \b
    Examples:
      genrify-tag vocabulary show mine
    """  # noqa: D301
    from genrify_tagger.learned_vocabulary import learned_vocabulary

    with _open_store(state) as store:
        found = _find(store, name)
    report = {**learned_vocabulary(found.content).report, "in_use": found.in_use}
    if output_format == "json":
        write_json(report)
        return
    for line in _report_lines(report):
        write_line(line)


def _report_lines(report: dict[str, Any]) -> Iterator[str]:
    from genrify_tagger.cli.learn import genre_table

    yield from genre_table(report["genres"])
    yield "In use." if report["in_use"] else "Not in use."
    if report.get("reason"):
        yield f"When it was learned, it was not put to use: {report['reason']}."


@command.command()
@click.argument("name", required=False)
@click.option("--none", "disable", is_flag=True, help="Use the model's own vocabulary again.")
@click.pass_obj
@common_options
def use(state: CliContext, name: str | None, disable: bool) -> None:
    """Put a learned vocabulary to use, or with --none the model's own.

    \b
    Examples:
      genrify-tag vocabulary use mine
      genrify-tag vocabulary use --none
    """  # noqa: D301
    if (name is None) != disable:
        raise click.UsageError("give the NAME of a vocabulary, or --none")
    from genrify_tagger.learned_vocabulary import learned_vocabulary

    reason = None
    with _open_store(state) as store:
        if name is not None:
            reason = learned_vocabulary(_find(store, name).content).report.get("reason")
        store.use_vocabulary(name)
    _say(state, "The model's own vocabulary is in use." if name is None else f"Vocabulary {name} is in use.")
    if reason:
        _say(state, f"When it was learned, it was not put to use: {reason}.")


@command.command()
@click.argument("name")
@click.pass_obj
@common_options
def delete(state: CliContext, name: str) -> None:
    """Delete a learned vocabulary; no file is changed.

    \b
    Examples:
      genrify-tag vocabulary delete mine
    """  # noqa: D301
    with _open_store(state) as store:
        found = _find(store, name)
        store.delete_vocabulary(name)
    _say(state, f"Deleted vocabulary {name}." + (" The model's own is in use." if found.in_use else ""))


@command.command()
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False))
@click.pass_obj
@common_options
def export(state: CliContext, name: str, file: str) -> None:
    """Save a learned vocabulary to a file, to share it.

    The file holds no path, title or artist.

    \b
    Examples:
      genrify-tag vocabulary export mine mine.genrify
    """  # noqa: D301
    with _open_store(state) as store:
        content = _find(store, name).content
    if os.path.lexists(file):
        raise ConfigError("exists already", path=file, hint="choose another name")
    try:
        open_files.write_file(file, content)
    except OSError as error:
        raise GenrifyError(f"cannot be written: {error.strerror}", path=file) from error
    _say(state, f"Saved vocabulary {name} to {display_path(file)}.")


@command.command("import")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--name", default="imported", show_default=True, help="Name of the vocabulary.")
@click.pass_obj
@common_options
def import_(state: CliContext, file: str, name: str) -> None:
    """Read a vocabulary that `export` saved; `use` puts it to use.

    \b
    Examples:
      genrify-tag vocabulary import mine.genrify --name anna
    """  # noqa: D301
    from genrify_tagger.learned_vocabulary import learned_vocabulary
    from genrify_tagger.pipeline import open_session

    try:
        with open(file, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise GenrifyError(f"cannot be read: {error.strerror}", path=file) from error
    learned_vocabulary(content, file)
    settings = state.settings({"learn.name": name})
    with open_session(settings, files=1, create=False) as session:
        if name in session.sidecar.vocabularies:
            raise click.UsageError(f"{name} is a vocabulary of the model; choose another name")
        if name in {known.name for known in session.store.vocabularies()}:
            raise ConfigError(f"there is a vocabulary {name!r} already", hint="choose another one with --name")
        session.store.save_vocabulary(name, content, in_use=False)
    _say(state, f"Imported vocabulary {name}. To put it to use: genrify-tag vocabulary use {name}")
