"""Track ids: a request names files by id, which is looked up in the library before anything is opened."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence

from flask import abort

from genrify_tagger.store import FileRecord
from genrify_tagger.web.app_context import app_context


def track_id(path: str) -> str:
    """Return the id of a library file: its path in URL-safe base64."""
    return base64.urlsafe_b64encode(os.fsencode(path)).decode("ascii").rstrip("=")


def track(given: str) -> FileRecord:
    """Return the library's record for an id, or abort with 404."""
    found = tracks([given])
    return found[0] if found else abort(404, "no such track in the library")


def tracks(given: Sequence[str]) -> list[FileRecord]:
    """Return the library's records for some ids, in this order; unknown ids are left out."""
    paths = [path for path in map(_path, given) if path is not None]
    known = app_context().session.store.files(paths)
    return [known[path] for path in dict.fromkeys(paths) if path in known]


def _path(given: str) -> str | None:
    try:
        return os.fsdecode(base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None
