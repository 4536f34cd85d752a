"""Open a file for reading, with errors that name it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from genrify_tagger import open_files
from genrify_tagger.errors import TagError, TagReadError
from genrify_tagger.tags import memory_budget

T = TypeVar("T")


def with_open(path: str, work: Callable[[BinaryIO], T], *, shown: str | None = None) -> T:
    """Run `work` on a regular file opened for reading; errors name the file.

    Raises
    ------
    TagReadError
        If it cannot be opened or read, or is not a regular file.
    """
    name = path if shown is None else shown
    try:
        with memory_budget.one_file(), os.fdopen(os.open(path, open_files.READ), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise TagReadError("this is not a regular file")
            return work(file)
    except TagError as error:
        error.path = error.path or name
        raise
    except OSError as error:
        raise TagReadError(f"the file cannot be read: {error.strerror or error}", path=name) from error
