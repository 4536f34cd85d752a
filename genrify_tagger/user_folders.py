"""The platform's folders for the user's settings, data, state, caches and logs."""

from __future__ import annotations

import os
from typing import Literal

from genrify_tagger.errors import ConfigError

APP_NAME = "genrify-tagger"

_NO_HOME_HINT = (
    "set HOME, or use --config FILE (GENRIFY_CONFIG) and --database FILE_OR_URL (GENRIFY_DATABASE__URL), "
    "and XDG_STATE_HOME if the database is on a server"
)


def user_folder(kind: Literal["config", "data", "state", "cache", "log"]) -> str:
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
        raise ConfigError("the user has no home folder", hint=_NO_HOME_HINT) from error
    if not os.path.isabs(folder):  # older versions of platformdirs return "~/.config" unchanged
        raise ConfigError("the user has no home folder", hint=_NO_HOME_HINT)
    return folder
