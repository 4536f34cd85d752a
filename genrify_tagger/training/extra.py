"""Whether the libraries of the extra `train` are there; asked before anything imports them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence

from genrify_tagger.errors import ConfigError

INSTALL = "pip install 'genrify-tagger[train]'"
LIBRARIES = ("librosa", "matplotlib", "tensorflow")


def missing(libraries: Sequence[str] = LIBRARIES) -> list[str]:
    """Return which of the libraries are not installed."""
    return [name for name in libraries if importlib.util.find_spec(name) is None]


def require(*libraries: str) -> None:
    """See that libraries are there.

    Raises
    ------
    ConfigError
        In one line, with what to install.
    """
    absent = missing(libraries or LIBRARIES)
    if absent:
        raise ConfigError(f"this needs {' and '.join(absent)}", hint=INSTALL)


def load_tensorflow() -> None:
    """Import TensorFlow without its remarks about graphics cards and instruction sets, which no setting stops."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every fold's network being a new one
    with quietly():
        importlib.import_module("tensorflow")
        importlib.import_module("keras")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Send what C code prints to stderr nowhere."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
