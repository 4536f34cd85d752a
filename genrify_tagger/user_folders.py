"""The platform's folders for the user's settings, data, state, caches and logs."""

from __future__ import annotations

import os
from typing import Literal

from genrify_tagger.errors import ConfigError

APP_NAME = "genrify-tagger"

Kind = Literal["config", "data", "state", "cache", "log"]

_NO_HOME_HINT = (
    "set HOME, or use --config FILE (GENRIFY_CONFIG) and --database FILE_OR_URL (GENRIFY_DATABASE__URL), "
    "and XDG_STATE_HOME if the database is on a server"
)
_NO_CACHE_HINT = "set HOME, or XDG_CACHE_HOME to a folder for the cache"


def user_folder(kind: Kind) -> str:
    """Return the platform's folder for one kind of the program's files; it may not exist.

    Raises
    ------
    ConfigError
        If there is no home folder: HOME is not set, and the user has no entry in the password database.
    """
    # Imported late, because `genrify-tag --help` does not need it.
    import platformdirs

    try:
        folder: str = getattr(platformdirs, f"user_{kind}_dir")(APP_NAME, appauthor=False)
    except (RuntimeError, KeyError, OSError) as error:
        raise _no_home(kind) from error
    if not os.path.isabs(folder):  # older versions of platformdirs return "~/.config" unchanged
        raise _no_home(kind)
    return folder


def _no_home(kind: Kind) -> ConfigError:
    hint = _NO_CACHE_HINT if kind == "cache" else _NO_HOME_HINT
    return ConfigError("the user has no home folder", hint=hint)
