"""Playlists as files: extended M3U in UTF-8, and Navidrome's smart playlists (.nsp)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from genrify_tagger import open_files
from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import printable

M3U_SUFFIXES = (".m3u8", ".m3u")
SMART_SUFFIX = ".nsp"
_M3U_HEADER = "#EXTM3U"

Paths = Literal["auto", "relative", "absolute"]


@dataclass(frozen=True)
class PlaylistSong:
    """A song in a playlist; artist and title are "" where they are not known."""

    path: str
    seconds: float | None = None
    artist: str = ""
    title: str = ""


def m3u_text(songs: Iterable[PlaylistSong], folder: str, paths: Paths = "auto") -> tuple[str, list[str]]:
    """Return an extended M3U, and the songs left out because M3U has no way to write their names.

    Parameters
    ----------
    songs : iterable of PlaylistSong
    folder : str
        The real path of the folder that the playlist will be in; "" if it will be in none.
    paths : str
        How songs are named: relative to the folder, absolute, or ("auto") relative if they are below the folder, so
        that both can move together.
    """
    lines, left_out = [_M3U_HEADER], []
    for song in songs:
        path = _named(song.path, folder, paths)
        if not path.isprintable() or path.startswith("#"):
            left_out.append(song.path)
            continue
        lines += [f"#EXTINF:{round(song.seconds or -1)},{_label(song)}", path]
    return "\n".join([*lines, ""]), left_out


def smart_playlist_text(genres: Sequence[str], *, shuffle: bool = False, limit: int | None = None) -> str:
    """Return a smart playlist of Navidrome: all songs with any of these genres, whenever it is played.

    See https://www.navidrome.org/docs/usage/features/smart-playlists/.
    """
    rules = [{"is": {"genre": genre}} for genre in genres]
    wanted: dict[str, object] = {"all": rules if len(rules) == 1 else [{"any": rules}]}
    order = {"sort": "random"} if shuffle else {"sort": "artist", "order": "asc"}
    most = {} if limit is None else {"limit": limit}
    return json.dumps({**wanted, **order, **most}, ensure_ascii=False, indent=2) + "\n"


def write_playlist(path: str, text: str, *, force: bool = False) -> None:
    """Write a playlist.

    Raises
    ------
    GenrifyError
        If it cannot be written, or if there is a file that is not a playlist, unless `force`.
    """
    try:
        if not force and not _may_be_replaced(path):
            raise GenrifyError("is not a playlist", path=path, hint="choose another name, or remove that file first")
        open_files.write_file(path, text.encode())
    except OSError as error:
        raise GenrifyError(f"the playlist cannot be written: {error.strerror}", path=path) from error


def _may_be_replaced(path: str) -> bool:
    """Return whether nothing is at a path, or an empty file, or a playlist."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as stream:
            text = stream.read(1 << 20)
    except FileNotFoundError:
        return True
    if path.lower().endswith(SMART_SUFFIX):
        with contextlib.suppress(ValueError):
            found = json.loads(text or "{}")
            return isinstance(found, dict) and (not found or not {"all", "any"}.isdisjoint(found))
        return False
    return not text.strip() or text.startswith(_M3U_HEADER)


def _named(path: str, folder: str, paths: Paths) -> str:
    if paths == "absolute" or not folder:
        return path
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # on another drive of Windows
        return path
    is_below = not relative.startswith(os.pardir + os.sep)
    # A line that begins with "#" would be a comment.
    return relative if (paths == "relative" or is_below) and not relative.startswith("#") else path


def _label(song: PlaylistSong) -> str:
    title = song.title or os.path.splitext(os.path.basename(song.path))[0]
    return printable(f"{song.artist} - {title}" if song.artist else title)
