"""The libraries of the extra `train`: whether they are installed, and how they are loaded."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from genrify_tagger import open_files
from genrify_tagger.classifier import silent_stderr
from genrify_tagger.errors import ConfigError
from genrify_tagger.extras import install_command

LIBRARIES = ("librosa", "matplotlib", "sklearn", "tensorflow")


def missing_libraries(libraries: Sequence[str] = LIBRARIES) -> list[str]:
    """Return which of the libraries are not installed."""
    return [name for name in libraries if importlib.util.find_spec(name) is None]


def require_libraries(*libraries: str) -> None:
    """Check that libraries are installed.

    Raises
    ------
    ConfigError
        If one is missing, with the command that installs it.
    """
    absent = missing_libraries(libraries or LIBRARIES)
    if absent:
        raise ConfigError(f"this needs {', '.join(absent)}", hint=install_command("train"))


def load_tensorflow() -> None:
    """Import TensorFlow without its messages about graphics cards and instruction sets, which no setting stops."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it would warn that every fold has a new network
    with silent_stderr():
        importlib.import_module("tensorflow")
        importlib.import_module("keras")


@contextlib.contextmanager
def numba_cache_lock() -> Iterator[None]:
    """Hold a lock that keeps other processes from compiling parts of librosa at the same time.

    Numba keeps what it has compiled beside librosa and does not support two processes doing so at once: they crash, and
    may leave files behind on which every later process crashes. So the cache is in a folder of its own, with a lock.

    Raises
    ------
    ConfigError
        If the folder cannot be written.
    """
    from genrify_tagger.user_folders import user_folder

    if "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = os.path.join(user_folder("cache"), "numba")
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "genrify.lock").open("w")
    except OSError as error:
        hint = "set NUMBA_CACHE_DIR to a writable folder"
        raise ConfigError(
            f"the cache of compiled code cannot be written: {error.strerror}", path=str(folder), hint=hint
        ) from error
    with lock:
        open_files.wait_for_lock(lock.fileno())
        yield
