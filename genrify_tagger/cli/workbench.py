"""What the commands of the workbench share: naming datasets, and telling what was left out."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from genrify_tagger.errors import ConfigError
from genrify_tagger.files import display_path

if TYPE_CHECKING:
    from genrify_tagger.cli.context import CliContext
    from genrify_tagger.training.datasets import Dataset, SkippedFile

F = TypeVar("F", bound=Callable[..., Any])

SEEDS = click.IntRange(0, 2**31 - 1)  # every random generator takes these, with an epoch's number added

_OPTIONS = (
    click.option("--only", metavar="LIST", help="Only the clips named in this file, one a line."),
    click.option("--subset", type=click.Choice(["small", "medium", "large"]), help="Of the FMA dataset."),
    click.option("--file-column", metavar="NAME", help="Of a CSV: the column with the file."),
    click.option("--label-column", metavar="NAME", help='Of a CSV: the column with the labels, separated by ";".'),
    click.option("--group-column", metavar="NAME", help="Of a CSV: the column with the artist."),
    click.option(
        "--jobs", "-j", type=click.IntRange(0), default=0, metavar="N", help="Processes side by side; 0 for one a core."
    ),
)


def dataset_options() -> Callable[[F], F]:
    """Return the decorator that adds the options that say what is in a dataset, and ``--jobs``."""

    def decorate(command: F) -> F:
        return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)

    return decorate


def open_datasets(sources: Iterable[str], options: dict[str, Any], *, any_label: bool) -> list[Dataset]:
    """List datasets as the options say; `options` holds what `dataset_options` adds, but for ``jobs``.

    Raises
    ------
    ConfigError
        If there is no such dataset, or none of the clips asked for is in any.
    """
    from genrify_tagger.training.datasets import Columns, open_dataset, read_list

    columns = Columns(options["file_column"], options["label_column"], options["group_column"])
    subset = options["subset"]
    datasets = [open_dataset(source, columns=columns, subset=subset, any_label=any_label) for source in sources]
    if options["only"] is None:
        return datasets
    names = read_list(options["only"])
    chosen = [dataset.only(names) for dataset in datasets]
    if not any(dataset.clips for dataset in chosen):
        hint = f"the first clip is called {datasets[0].clips[0].name}"
        raise ConfigError("names none of the clips", path=options["only"], hint=hint)
    return chosen


def need_folder(target: str) -> None:
    """See that a file can be written where it is to be, before hours of work are done for it.

    Raises
    ------
    ConfigError
        If there is no such folder, or nothing may be written in it.
    """
    folder = Path(target).absolute().parent
    if not folder.is_dir():
        raise ConfigError("no such folder", path=str(folder))
    if not os.access(target if os.path.exists(target) else folder, os.W_OK):
        raise ConfigError("nothing may be written there", path=target)


def need_room(folder: str) -> Path:
    """See that a folder can be made and written to, before hours of work are done for it; nothing is made yet.

    Raises
    ------
    ConfigError
        If a file is in the way, or nothing may be written there.
    """
    path = Path(folder).absolute()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not nearest.is_dir():
        raise ConfigError("no folder but a file", path=str(nearest))
    if not os.access(nearest, os.W_OK):
        raise ConfigError("nothing may be written there", path=str(nearest))
    return Path(folder)


def tell_problems(state: CliContext, problems: Iterable[SkippedFile]) -> int:
    """Name on stderr what was left out, and why; return the exit status: 1 if anything was."""
    status = 0
    for problem in problems:
        state.console.print(f"left out: {display_path(problem.path)}: {problem.reason}")
        status = 1
    return status
