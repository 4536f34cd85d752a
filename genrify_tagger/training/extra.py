"""Whether the libraries of the extra `train` are there; asked before anything imports them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from genrify_tagger.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    _HAS_LOCKS = False
else:
    _HAS_LOCKS = True

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
def compiling_alone() -> Iterator[None]:
    """Let no other process load librosa meanwhile, which compiles parts of itself the first time.

    Numba keeps what it compiled beside librosa and does not expect two processes to do so at once: they die, and may
    leave behind what every later one dies of. So it is kept in a folder of our own, and written one by one.

    Raises
    ------
    ConfigError
        If nothing can be kept there.
    """
    from genrify_tagger.user_folders import user_folder

    own = Path(user_folder("cache")) / "numba"
    folder = Path(os.environ.setdefault("NUMBA_CACHE_DIR", str(own)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "genrify.lock").open("w")
    except OSError as error:
        hint = "set NUMBA_CACHE_DIR to a folder that can be written"
        raise ConfigError(f"nothing can be kept there: {error.strerror}", path=str(folder), hint=hint) from error
    with lock:
        if _HAS_LOCKS:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
