"""Grouping a page of the library by album."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import PurePath
from typing import Any

from genrify_tagger.store import FileRecord, ResultPage

_DISC = re.compile(r"(?:cd|dis[ck])[ _-]*\d+", re.IGNORECASE)

Json = dict[str, Any]


def album_key(record: FileRecord) -> tuple[str, str]:
    """Return the album and the folder that make a group: discs in folders of their own belong together."""
    folder = PurePath(record.path).parent
    return record.album or "", str(folder.parent if record.album and _DISC.fullmatch(folder.name) else folder)


def whole_albums(page: ResultPage, *, backwards: bool) -> ResultPage:
    """Return a page without the album at its open end, which may be cut there, unless it is the only one."""
    records = page.files
    if not page.more or album_key(records[0]) == album_key(records[-1]):
        return page
    cut = album_key(records[0 if backwards else -1])
    return replace(page, files=[record for record in records if album_key(record) != cut])


def group_by_album(rows: Sequence[tuple[FileRecord, Json]]) -> list[Json]:
    """Return consecutive rows of one album together.

    Parameters
    ----------
    rows : sequence of (FileRecord, dict)
        Each file and what is shown of it.

    Returns
    -------
    list of dict
        `title`, `artist`, `tracks`, and how many of them have a suggestion to accept (`open`).
    """
    return [_album(key, [row for _, row in group]) for key, group in groupby(rows, key=lambda row: album_key(row[0]))]


def _album(key: tuple[str, str], tracks: list[Json]) -> Json:
    title, folder = key
    artists = {track["artist"] for track in tracks}
    return {
        "title": title or PurePath(folder).name,
        "is_folder": not title,
        "artist": artists.pop() if len(artists) == 1 else "Various artists",
        "tracks": tracks,
        "open": sum(track["status"] == "unsure" and track["guess"] is not None for track in tracks),
    }
