"""Media servers for tests: real HTTP servers that check a request as the documented API says."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "0123secret"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    def __str__(self) -> str:
        return " ".join([self.method, self.path, *([json.dumps(self.query)] if self.query else [])])


Reply = tuple[int, Any]  # status and JSON


def plain(request: Request) -> Reply:
    return (500 if "fail" in request.path else 200), None


@contextmanager
def http_server(reply: Callable[[Request], Reply] = plain) -> Iterator[tuple[str, list[Request]]]:
    """Serve HTTP, and keep what is asked for."""
    asked: list[Request] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: value for key, (value, *_) in parse_qs(parts.query, strict_parsing=bool(parts.query)).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(self.command, parts.path, query, headers, json.loads(body) if body else None)
            asked.append(request)
            status, answer = reply(request)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "https://ana:secret@example.org/there?key=secret")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def navidrome(request: Request) -> Reply:
    """https://www.subsonic.org/pages/api.jsp: all answers are 200, errors are inside."""
    if request.path not in {"/rest/startScan", "/rest/startScan.view"}:
        return 404, None
    query = request.query
    problem = None
    if not {"u", "t", "s", "v", "c"} <= set(query) or query.get("f") != "json":
        problem = {"code": 10, "message": "missing parameter"}
    elif query["u"] != "ana" or query["t"] != hashlib.md5((KEY + query["s"]).encode()).hexdigest():
        problem = {"code": 40, "message": "Wrong username or password"}
    elif len(query["s"]) < 6:
        problem = {"code": 0, "message": "salt too short"}
    answer = {"version": "1.16.1", "type": "navidrome", "serverVersion": "0.58.0", "openSubsonic": True}
    if problem:
        return 200, {"subsonic-response": {"status": "failed", **answer, "error": problem}}
    return 200, {"subsonic-response": {"status": "ok", **answer, "scanStatus": {"scanning": True, "count": 9}}}


def jellyfin(*folders: str, emby: bool = False) -> Callable[[Request], Reply]:
    """https://api.jellyfin.org, https://dev.emby.media/reference/RestAPI.html."""
    start, libraries = ("/emby", "/Library/VirtualFolders/Query") if emby else ("", "/Library/VirtualFolders")
    listed = [{"Name": "Music", "Locations": list(folders), "CollectionType": "music"}]

    def reply(request: Request) -> Reply:
        given = request.headers.get("x-emby-token") if emby else request.headers.get("authorization", "")
        if given != KEY and (emby or f'Token="{KEY}"' not in given or not given.startswith("MediaBrowser ")):
            return 401, None
        if not request.path.startswith(start):
            return 404, None
        match request.method, request.path.removeprefix(start):
            case "GET", path if path == libraries:
                return 200, {"Items": listed, "TotalRecordCount": 1} if emby else listed
            case "POST", "/Library/Refresh":
                return 204, None
            case "POST", "/Library/Media/Updated" if "application/json" in request.headers["content-type"]:
                changed = request.body["Updates"]
                assert all(set(one) == {"Path", "UpdateType"} for one in changed)
                return 204, None
        return 404, None

    return reply


def plex(*folders: str) -> Callable[[Request], Reply]:
    """https://developer.plex.tv/pms: XML, but JSON for who accepts it."""
    sections = [
        {"key": "1", "type": "movie", "Location": [{"id": 1, "path": "/films"}]},
        {"key": "4", "type": "artist", "Location": [{"id": 2, "path": folder} for folder in folders]},
    ]

    def reply(request: Request) -> Reply:
        if request.headers.get("x-plex-token") != KEY:
            return 401, None
        if request.path == "/library/sections" and request.headers["accept"] == "application/json":
            return 200, {"MediaContainer": {"size": 2, "Directory": sections}}
        return (200 if request.path == "/library/sections/4/refresh" else 404), None

    return reply
