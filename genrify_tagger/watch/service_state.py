"""What the running service says of itself, for `genrify-tag status`, monitors and the web page.

A small JSON file beside the SQLite database (for other databases in the platform's state folder), replaced in one
step, so that a reader finds the old or the new words and never half of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from genrify_tagger.config import Settings
from genrify_tagger.files import counted
from genrify_tagger.store import database_file
from genrify_tagger.store.process_identity import is_gone

SCHEMA = 1
SILENT_SECONDS = 1800.0  # twice what it lets pass at most between two words
STOPPING = "stopping"  # the last word of one that ends, also for machines that cannot see its process
NATIVE, POLLING, LOST = "native", "polling", "lost"


def service_state(settings: Settings) -> dict[str, Any] | None:
    """Return what the service that watches for this database says of itself; None if none is running.

    Returns
    -------
    dict or None
        JSON-able. `schema` (1), `pid`, `version`, `since` and `updated` (ISO 8601, UTC), `phase` ("starting",
        "looking", "working", "idle"), `roots` (a list of {`path`, `watching`: "native", "polling" or
        "lost", `folders`: number watched, `reason`: str or None}), `queue` (files that wait or are being worked on),
        `last_file` (str or None), `last_result` (the object of `scan --format jsonl` without scores, with `at`; or
        None), `counts` (results by status since `since`), `rate` (files a minute over the last ten minutes),
        `failures` (the latest ones, newest first: {`path`, `error`, `at`}).
    """
    try:
        with open(state_path(settings.database.url), encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        found.pop("mounts", None)
        ended = found["phase"] == STOPPING or is_gone(found.pop("owner"), datetime.fromisoformat(found["updated"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None if ended else found


def problems(state: Mapping[str, Any] | None) -> list[str]:
    """Return what is wrong with the service, in plain words: nothing if it runs, answers and sees all its roots."""
    if state is None:
        return ["no service is running"]
    silent = datetime.now(UTC) - datetime.fromisoformat(state["updated"])
    found = [f"{root['path']} is not watched: {root['reason']}" for root in state["roots"] if root["watching"] == LOST]
    if silent.total_seconds() > SILENT_SECONDS:
        minutes = counted(int(silent.total_seconds() // 60), "minute")
        found.insert(0, f"the service has not been heard of for {minutes}")
    return found


def state_path(url: str) -> str:
    """Return where the service of a database keeps its state."""
    return f"{_stem(url)}.watch.json"


def lock_path(url: str) -> str:
    """Return the file that the service of a database holds locked."""
    return f"{_stem(url)}.watch.lock"


def _stem(url: str) -> str:
    file = database_file(url)
    if file is not None:
        return os.path.realpath(file)
    import platformdirs

    digest = hashlib.blake2b(url.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return os.path.join(platformdirs.user_state_dir("genrify-tagger", appauthor=False), digest)


def write_state(path: str, owner: str, state: Mapping[str, Any]) -> None:
    """Replace the state file.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    words = {"schema": SCHEMA, "owner": owner, "updated": datetime.now(UTC).isoformat(timespec="seconds"), **state}
    descriptor, partial = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o644)  # the page and monitors may run as somebody else
            json.dump(words, file)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def remembered_mounts(url: str) -> list[str]:
    """Return the mount points below the roots that the last service of this database saw, whether it runs or not."""
    try:
        with open(state_path(url), encoding="utf-8") as file:
            return [str(point) for point in json.load(file).get("mounts", [])]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
