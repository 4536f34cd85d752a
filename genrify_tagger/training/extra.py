"""Whether the libraries of the extra `train` are there; asked before anything imports them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

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
