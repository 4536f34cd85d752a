"""Tell MPD to update its database, by the `update` command of its protocol."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextlib import closing
from typing import TextIO

from genrify_tagger.errors import PlayerError
from genrify_tagger.files import counted
from genrify_tagger.notify.changed_files import ChangedFiles

PORT = 6600


def update_mpd(address: str, password: str, changed: ChangedFiles, paths: Mapping[str, str], *, seconds: float) -> str:
    """Have MPD update the folders that changed; return what it does.

    MPD tells its music folder only to clients at its socket; without it, the whole library is updated, for which MPD
    reads the files whose time has changed.

    Raises
    ------
    PlayerError
        If MPD refuses, or what is there is not MPD.
    OSError
        If it is away.
    """
    with closing(_connect(address, seconds)) as connection, _stream(connection) as stream:
        if not _line(stream).startswith("OK MPD "):
            raise PlayerError("is not MPD")
        if password:
            _ask(stream, "password", password)
        folders = _folders(stream, changed, paths) if _is_socket(address) else [""]
        for folder in folders:
            _ask(stream, "update", *([folder] if folder else []))
    return "updates its whole library" if folders == [""] else f"updates {counted(len(folders), 'folder')}"


def _stream(connection: socket.socket) -> TextIO:
    return connection.makefile("rw", encoding="utf-8", errors="surrogateescape", newline="\n")


def _is_socket(address: str) -> bool:
    return address.startswith("@") or "/" in address


def _connect(address: str, seconds: float) -> socket.socket:
    if not _is_socket(address):
        return socket.create_connection(_host_and_port(address), timeout=seconds)
    if not hasattr(socket, "AF_UNIX"):
        raise PlayerError("this system has no such sockets; give host:port")
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(seconds)
    try:
        connection.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError:
        connection.close()
        raise
    return connection


def _host_and_port(address: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+)(?::(\d+))?", address)
    if found is None:
        return address, PORT  # an IPv6 address
    return found[1] or found[3], int(found[2] or found[4] or PORT)


def _folders(stream: TextIO, changed: ChangedFiles, paths: Mapping[str, str]) -> list[str]:
    """Return the changed folders relative to MPD's music folder; [""] for all of it."""
    try:
        root = dict(_ask(stream, "config")).get("music_directory", "")
    except PlayerError:  # a remote client, or without the permission
        return [""]
    found = (changed.folders_for([root], paths) if os.path.isabs(root) else None) or {root: [root]}
    folders = [folder[len(root.rstrip("/")) + 1 :] for folder in found[root]]
    # What the protocol cannot say makes it the whole library.
    return folders if all(folder and folder.isprintable() for folder in folders) else [""]


def _ask(stream: TextIO, *words: str) -> list[tuple[str, str]]:
    """Send a command, and return the pairs of the answer."""
    stream.write(" ".join([words[0], *map(_quoted, words[1:])]) + "\n")
    stream.flush()
    pairs: list[tuple[str, str]] = []
    while not (line := _line(stream)).startswith("OK"):
        if line.startswith("ACK"):
            raise PlayerError(line.partition("} ")[2] or "refuses")
        key, _, value = line.partition(": ")
        pairs.append((key, value))
    return pairs


def _line(stream: TextIO) -> str:
    line = stream.readline(65536)
    if not line.endswith("\n"):
        raise PlayerError("ended the connection")
    return line[:-1]


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
