"""What the commands of the workbench share: naming datasets, and telling what was left out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from genrify_tagger.files import display_path

if TYPE_CHECKING:
    from genrify_tagger.cli.state import State
    from genrify_tagger.training.datasets import Dataset, Problem

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--only", metavar="LIST", help="Only the clips named in this file, one a line."),
    click.option("--subset", type=click.Choice(["small", "medium", "large"]), help="Of the FMA dataset."),
    click.option("--file-column", metavar="NAME", help="Of a CSV: the column with the file."),
    click.option("--label-column", metavar="NAME", help='Of a CSV: the column with the labels, separated by ";".'),
    click.option("--group-column", metavar="NAME", help="Of a CSV: the column with the artist."),
    click.option("--jobs", "-j", type=int, default=0, metavar="N", help="How many processes work side by side."),
)


def dataset_options() -> Callable[[F], F]:
    """Return the decorator that adds the options that say what is in a dataset, and ``--jobs``."""

    def decorate(command: F) -> F:
        return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)

    return decorate


def open_datasets(sources: Iterable[str], options: dict[str, Any]) -> list[Dataset]:
    """List datasets as the options say; `options` holds what `dataset_options` adds, but for ``jobs``."""
    from genrify_tagger.training.datasets import Columns, open_dataset, read_list

    columns = Columns(options["file_column"], options["label_column"], options["group_column"])
    datasets = [open_dataset(source, columns=columns, subset=options["subset"]) for source in sources]
    if options["only"] is None:
        return datasets
    names = read_list(options["only"])
    return [dataset.only(names) for dataset in datasets]


def tell_problems(state: State, problems: Iterable[Problem]) -> int:
    """Name on stderr what was left out, and why; return the exit status: 1 if anything was."""
    status = 0
    for problem in problems:
        state.console.print(f"left out: {display_path(problem.path)}: {problem.reason}")
        status = 1
    return status
