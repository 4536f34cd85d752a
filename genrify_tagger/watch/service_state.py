"""The published state of the running service, for `genrify-tag status`, monitoring and the web page.

A small JSON file beside the SQLite database (for other databases in the platform's state folder), replaced atomically,
so that a reader never sees half of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from genrify_tagger import open_files
from genrify_tagger.config import Settings
from genrify_tagger.errors import ConfigError
from genrify_tagger.files import counted
from genrify_tagger.process_identity import is_gone
from genrify_tagger.store import database_file
from genrify_tagger.user_folders import user_folder

SCHEMA = 1
SILENT_SECONDS = 1800.0  # twice the longest interval between two updates
STOPPING = "stopping"  # the last published phase, also for machines that cannot see the process
NATIVE, POLLING, LOST = "native", "polling", "lost"


def service_state(settings: Settings) -> dict[str, Any] | None:
    """Return the state of the service that uses this database; None if none is running.

    Returns
    -------
    dict or None
        JSON-able. `schema` (1), `pid`, `version`, `since` and `updated` (ISO 8601, UTC), `phase` ("starting",
        "scanning", "processing", "idle"), `roots` (a list of {`path`, `watching`: "native", "polling" or
        "lost", `folders`: number watched, `reason`: str or None}), `queue` (files that wait or are being worked on),
        `last_file` (str or None), `last_result` (the object of `scan --format jsonl` without scores, with `at`; or
        None), `counts` (results by status since `since`), `rate` (files a minute over the last ten minutes),
        `failures` (the latest ones, newest first: {`path`, `error`, `at`}).
    """
    try:
        with open(state_path(settings.database.url), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        ended = found["phase"] == STOPPING or is_gone(found.pop("owner"), datetime.fromisoformat(found["updated"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):  # the last: no home folder
        return None
    return None if ended else found


def problems(state: Mapping[str, Any] | None) -> list[str]:
    """Return the service's problems as sentences: none if it runs, responds and can reach all its roots."""
    if state is None:
        return ["no service is running"]
    silent = datetime.now(UTC) - datetime.fromisoformat(state["updated"])
    found = [f"{root['path']} is not watched: {root['reason']}" for root in state["roots"] if root["watching"] == LOST]
    if silent.total_seconds() > SILENT_SECONDS:
        minutes = counted(int(silent.total_seconds() // 60), "minute")
        found.insert(0, f"the service has not responded for {minutes}")
    return found


def state_path(url: str) -> str:
    """Return the path of the state file of a database's service."""
    return f"{_stem(url)}.watch.json"


def lock_path(url: str) -> str:
    """Return the path of the lock file of a database's service."""
    return f"{_stem(url)}.watch.lock"


def _stem(url: str) -> str:
    file = database_file(url)
    if file is not None:
        return os.path.realpath(file)
    digest = hashlib.blake2b(url.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return os.path.join(user_folder("state"), digest)


def write_state(path: str, owner: str, state: Mapping[str, Any]) -> None:
    """Replace the state file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    words = {"schema": SCHEMA, "owner": owner, "updated": datetime.now(UTC).isoformat(timespec="seconds"), **state}
    # The page and monitors may run as another user.
    open_files.write_file(path, json.dumps(words).encode(), mode=0o644)
