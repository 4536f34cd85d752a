"""Files of the library by id: what a request names is looked up among its rows, and opened only from there."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence

from flask import abort

from genrify_tagger.store import FileRecord
from genrify_tagger.web.app_context import app_context


def track_id(path: str) -> str:
    """Return the id of a file of the library: its path in an alphabet that addresses allow."""
    return base64.urlsafe_b64encode(os.fsencode(path)).decode("ascii").rstrip("=")


def track(given: str) -> FileRecord:
    """Return the library's row for an id; the answer is "404 not found" if there is none."""
    found = tracks([given])
    return found[0] if found else abort(404, "there is no such track in the library")


def tracks(given: Sequence[str]) -> list[FileRecord]:
    """Return the library's rows for some ids, in this order; unknown ones are left out."""
    paths = [path for path in map(_path, given) if path is not None]
    known = app_context().session.store.files(paths)
    return [known[path] for path in dict.fromkeys(paths) if path in known]


def _path(given: str) -> str | None:
    try:
        return os.fsdecode(base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
