"""The default paths of the settings file and the database."""

from __future__ import annotations

import os
from collections.abc import Mapping

from genrify_tagger.user_folders import user_folder


def config_path(environ: Mapping[str, str] | None = None) -> str:
    """Return the path of the settings file: ``GENRIFY_CONFIG``, or ``config.toml`` in the platform's config folder.

    Raises
    ------
    ConfigError
        If it is not named and there is no home folder.
    """
    named = (os.environ if environ is None else environ).get("GENRIFY_CONFIG")
    if named:
        return os.path.abspath(os.path.expanduser(named))
    return os.path.join(user_folder("config"), "config.toml")


def default_database_url() -> str:
    """Return the URL of the SQLite file in the platform's data folder.

    Raises
    ------
    ConfigError
        If there is no home folder.
    """
    return sqlite_url(os.path.join(user_folder("data"), "library.db"))


def sqlite_url(path: str) -> str:
    """Return the SQLAlchemy URL of the SQLite file at the absolute `path`."""
    return f"sqlite:///{path}"


def sqlite_path(url: str) -> str | None:
    """Return the path in a URL made by `sqlite_url`; None for any other."""
    return url.removeprefix("sqlite:///") if url.startswith("sqlite:////") else None
