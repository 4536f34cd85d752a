"""Settings of earlier versions that have another name now."""

from __future__ import annotations

import functools
import logging
import re

log = logging.getLogger(__name__)


def current_name(name: str, value: object) -> str:
    """Return a setting's present name, with a notice if it has been renamed."""
    if name != "watch.after_batch":
        return name
    is_url = isinstance(value, str) and re.fullmatch(r"\s*((GET|POST|PUT) +)?https?://\S+\s*", value, re.IGNORECASE)
    now = "notify.url" if is_url else "notify.command"
    _warn_renamed(name, now)
    return now


@functools.cache  # settings are loaded several times
def _warn_renamed(name: str, now: str) -> None:
    log.warning("the setting %s has become %s, which also follows scan, set, undo and the page; rename it", name, now)
