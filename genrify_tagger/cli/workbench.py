"""The code that workbench commands share: dataset options, output folder checks, the list of skipped files."""

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

SEEDS = click.IntRange(0, 2**31 - 1)  # valid for every random generator in use, even with the number of an epoch added

_OPTIONS = (
    click.option("--only", metavar="LIST", help="Use only the clips listed in this file, one per line."),
    click.option("--subset", type=click.Choice(["small", "medium", "large"]), help="Subset of the FMA dataset."),
    click.option("--file-column", metavar="NAME", help="CSV column with the file."),
    click.option("--label-column", metavar="NAME", help='CSV column with the labels, separated by ";".'),
    click.option("--group-column", metavar="NAME", help="CSV column with the artist."),
    click.option(
        "--jobs", "-j", type=click.IntRange(0), default=0, metavar="N", help="Number of processes; 0: one per core."
    ),
)


def dataset_options() -> Callable[[F], F]:
    """Return the decorator that adds the options that describe a dataset, and ``--jobs``."""

    def decorate(command: F) -> F:
        return functools.reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)

    return decorate


def open_datasets(sources: Iterable[str], options: dict[str, Any], *, any_label: bool) -> list[Dataset]:
    """Open the datasets; `options` holds what `dataset_options` adds, except ``jobs``.

    Raises
    ------
    ConfigError
        If there is no such dataset, or none of them has any of the listed clips.
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
        hint = f"the first clip is named {datasets[0].clips[0].name}"
        raise ConfigError("lists none of the clips", path=options["only"], hint=hint)
    return chosen


def need_writable_file(target: str) -> None:
    """Check that the output file can be written, before hours of work.

    Raises
    ------
    ConfigError
        If its folder does not exist or is not writable.
    """
    folder = Path(target).absolute().parent
    if not folder.is_dir():
        raise ConfigError("no such folder", path=str(folder))
    if not os.access(target if os.path.exists(target) else folder, os.W_OK):
        raise ConfigError("is not writable", path=target)


def need_writable_folder(folder: str) -> Path:
    """Check that the output folder can be created and written to, before hours of work; creates nothing.

    Raises
    ------
    ConfigError
        If a file is in the way, or the nearest existing folder is not writable.
    """
    path = Path(folder).absolute()
    nearest = next(one for one in (path, *path.parents) if one.exists())
    if not nearest.is_dir():
        raise ConfigError("is a file, not a folder", path=str(nearest))
    if not os.access(nearest, os.W_OK):
        raise ConfigError("is not writable", path=str(nearest))
    return Path(folder)


def report_skipped(state: CliContext, problems: Iterable[SkippedFile]) -> int:
    """List on stderr the files that were skipped, and why; return the exit status, 1 if there are any."""
    status = 0
    for problem in problems:
        state.console.print(f"skipped: {display_path(problem.path)}: {problem.reason}")
        status = 1
    return status
