"""Tell media servers to scan: Navidrome (Subsonic API), Jellyfin and Emby, Plex."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from genrify_tagger.errors import PlayerError
from genrify_tagger.files import counted
from genrify_tagger.notify.changed_files import ChangedFiles
from genrify_tagger.notify.http_request import request, request_json

SCANS_ALL = "scans its whole library"
_SUBSONIC_VERSION = "1.16.1"
_UNEXPECTED = "the answer is not the expected one; is the URL right?"


def scan_navidrome(url: str, user: str, password: str, *, seconds: float) -> str:
    """Have a server with the Subsonic API scan its library; return what it does.

    The server checks the MD5 digest of the password and a random salt (https://www.subsonic.org/pages/api.jsp).

    Raises
    ------
    PlayerError
        If it is away or refuses.
    """
    salt = secrets.token_hex(8)
    token = hashlib.md5((password + salt).encode(), usedforsecurity=False).hexdigest()
    query = {"u": user, "t": token, "s": salt, "v": _SUBSONIC_VERSION, "c": "genrify-tagger", "f": "json"}
    answer = _part(request_json(f"{url}/rest/startScan?{urlencode(query)}", seconds=seconds), "subsonic-response")
    if answer.get("status") == "ok":
        return "scans its library"
    raise PlayerError(str(_part(answer, "error").get("message") or "refuses"))


def scan_jellyfin(url: str, key: str, changed: ChangedFiles, paths: Mapping[str, str], *, seconds: float) -> str:
    """Have Jellyfin refresh the folders that changed, or all libraries; return what it does.

    Raises
    ------
    PlayerError
        If it is away or refuses.
    """
    headers = {"Authorization": f'MediaBrowser Client="Genrify Tagger", Token="{quote(key)}"'}
    return _refresh(url, "VirtualFolders", headers, changed, paths, seconds=seconds)


def scan_emby(url: str, key: str, changed: ChangedFiles, paths: Mapping[str, str], *, seconds: float) -> str:
    """Have Emby refresh the folders that changed, or all libraries; return what it does.

    Raises
    ------
    PlayerError
        If it is away or refuses.
    """
    api, headers = f"{url.removesuffix('/emby')}/emby", {"X-Emby-Token": quote(key)}
    return _refresh(api, "VirtualFolders/Query", headers, changed, paths, seconds=seconds)


def scan_plex(url: str, token: str, changed: ChangedFiles, paths: Mapping[str, str], *, seconds: float) -> str:
    """Have Plex scan the folders that changed, or its music libraries; return what it does.

    Raises
    ------
    PlayerError
        If it is away or refuses.
    """
    headers = {"X-Plex-Token": quote(token)}
    found = _part(request_json(f"{url}/library/sections", headers=headers, seconds=seconds), "MediaContainer")
    sections = [part for part in found.get("Directory", ()) if part.get("type") == "artist"]
    if not sections:
        raise PlayerError("it has no music library")
    keys = {place["path"]: part["key"] for part in sections for place in part.get("Location", ())}
    folders = changed.folders_for(keys, paths)
    if folders is None:
        wanted = [f"{part['key']}/refresh" for part in sections]
    else:
        pairs = [(keys[place], folder) for place, inside in folders.items() for folder in inside]
        wanted = [f"{key}/refresh?{urlencode({'path': folder}, errors='surrogateescape')}" for key, folder in pairs]
    for part in wanted:
        request(f"{url}/library/sections/{part}", headers=headers, seconds=seconds)
    return SCANS_ALL if folders is None else f"scans {counted(len(wanted), 'folder')}"


def _refresh(
    url: str,
    libraries: str,
    headers: Mapping[str, str],
    changed: ChangedFiles,
    paths: Mapping[str, str],
    *,
    seconds: float,
) -> str:
    """Report the changed folders to Jellyfin or Emby if it has them in its `libraries`; else have it refresh all."""
    try:
        locations = _locations(request_json(f"{url}/Library/{libraries}", headers=headers, seconds=seconds))
    except PlayerError:  # another version; if the server is away, the next request says so
        locations = []
    folders = changed.folders_for(locations, paths)
    if folders is None:
        request(f"{url}/Library/Refresh", method="POST", headers=headers, seconds=seconds)
        return SCANS_ALL
    updates = [{"Path": folder, "UpdateType": "Modified"} for inside in folders.values() for folder in inside]
    request(f"{url}/Library/Media/Updated", method="POST", headers=headers, body={"Updates": updates}, seconds=seconds)
    return f"scans {counted(len(updates), 'folder')}"


def _locations(answer: Any) -> list[str]:
    """Return the folders of all libraries."""
    libraries = answer.get("Items", []) if isinstance(answer, Mapping) else answer
    return [place for library in libraries for place in library.get("Locations", ())]


def _part(answer: Any, key: str) -> Mapping[str, Any]:
    part = answer.get(key) if isinstance(answer, Mapping) else None
    if not isinstance(part, Mapping):
        raise PlayerError(_UNEXPECTED)
    return part
