"""The HTTP server: waitress, with limits that keep slow and greedy clients from hurting others.

One loop reads all requests; a request gets a thread only when it is complete. Before its body is read, host name,
token, address and size are checked.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import create_server
from waitress.task import ErrorTask
from waitress.utilities import Error, RequestEntityTooLarge
from werkzeug.http import parse_cookie

from genrify_tagger.errors import GenrifyError
from genrify_tagger.web.app_context import AppContext
from genrify_tagger.web.auth import COOKIE, HEADER
from genrify_tagger.web.base_path import strip_base_path
from genrify_tagger.web.security import HEADERS, MAX_JSON

log = logging.getLogger(__name__)

THREADS = 8
CONNECTIONS = 400
HEADER_SECONDS = 20.0
IDLE_SECONDS = 45
BODY_SECONDS = 900.0
MAX_HEADERS = 1 << 16
_UPLOAD_PATH = "/api/uploads"


class ForbiddenError(Error):  # type: ignore[misc]
    """403 before the body is read."""

    code = 403
    reason = "Forbidden"


class UnauthorizedError(Error):  # type: ignore[misc]
    """401 before the body is read."""

    code = 401
    reason = "Unauthorized"


class InsufficientStorageError(Error):  # type: ignore[misc]
    """507: the body does not fit."""

    code = 507
    reason = "Insufficient Storage"


class LengthRequiredError(Error):  # type: ignore[misc]
    """411: chunked bodies are refused."""

    code = 411
    reason = "Length Required"


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """JSON response to a request that never reaches the application."""

    def execute(self) -> None:
        """Write it; see waitress."""
        error = self.request.error
        body = json.dumps({"error": str(error.body)}).encode()
        self.status = f"{error.code} {error.reason}"
        more = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        self.response_headers.extend((HEADERS | more).items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Server:
    """A bound server and its loop.

    Parameters
    ----------
    server
        As waitress made it.
    """

    def __init__(self, server: Any) -> None:
        self._server = server

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.effective_port)

    def run(self) -> None:
        """Serve until Ctrl-C or SIGTERM is raised here, or `stop` is called elsewhere."""
        self._server.run()

    def stop(self) -> None:
        """End `run`, after the current requests are answered; may be called from any thread."""
        self._server.task_dispatcher.shutdown()
        self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._server._map, ignore_all=True))


def make_server(app: Flask, context: AppContext) -> Server:
    """Bind the configured address.

    Raises
    ------
    GenrifyError
        If the address cannot be used.
    """
    web = context.session.settings.web
    server = create_server(
        app,
        sockets=[_bind(web.host, web.port)],
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=5,
        asyncore_use_poll=True,
        max_request_header_size=MAX_HEADERS,
        max_request_body_size=max(context.uploads.largest, MAX_JSON),
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    server.channel_class = _channel_class(context, server)
    _enforce_deadlines(server)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    return Server(server)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        where = f"{host} port {port}"
        raise GenrifyError(
            f"the page cannot be served on {where}: {(error.strerror or str(error)).lower()}",
            hint="choose another with `genrify-tag serve --port`, or with the setting web.port" if port else None,
        ) from error
    return bound


def _channel_class(context: AppContext, server: Any) -> type[HTTPChannel]:
    """Return a channel class that checks the headers before it reads the body."""

    class Parser(HTTPRequestParser):  # type: ignore[misc]
        admitted = False
        began = 0.0
        completed = False

        def received(self, data: bytes) -> int:
            self.began = self.began or time.time()
            consumed: int = super().received(data)
            if self.headers_finished and not self.admitted and not self.completed:
                self.admitted = True
                self.error = _early_error(context, server, self)
                self.completed = self.error is not None
            return consumed

    class Channel(HTTPChannel):  # type: ignore[misc]
        parser_class = Parser
        error_task_class = JsonErrorTask

    return Channel


def _early_error(context: AppContext, server: Any, parser: Any) -> Error | None:
    """Return why a request is refused before its body is read, None if it is not."""
    headers, auth = parser.headers, context.auth
    cookie = parse_cookie(headers.get("COOKIE", "")).get(COOKIE, "")
    if not auth.allows_host(headers.get("HOST", "")) or HEADER.upper().replace("-", "_") not in headers:
        return ForbiddenError("the header X-Genrify is missing, or the host name is not in web.names")
    path = strip_base_path(parser.path, context.base_path)
    is_login = path == "/api/login" and parser.content_length <= MAX_JSON
    if not is_login and not auth.accepts_credentials(headers.get("AUTHORIZATION", ""), cookie):
        return UnauthorizedError("the token is missing or wrong")
    if parser.chunked:
        return LengthRequiredError("the request needs a Content-Length")
    if parser.content_length > MAX_JSON and path != _UPLOAD_PATH:
        return RequestEntityTooLarge("the body is too large")
    if _bytes_in_flight(server) > context.uploads.room:
        return InsufficientStorageError("no space for more songs at this time")
    return None


def _bytes_in_flight(server: Any) -> int:
    """Return the bytes of all request bodies in flight."""
    channels = list(server.active_channels.values())
    return sum(request.content_length for c in channels for request in (*c.requests, c.request) if request)


def _enforce_deadlines(server: Any) -> None:
    """Make the periodic clean-up also end requests that take too long to arrive."""
    clean_up = server.maintenance

    def maintenance(now: float) -> None:
        clean_up(now)
        for channel in list(server.active_channels.values()):
            request = channel.request
            if request is not None and request.began:
                allowed = BODY_SECONDS if request.headers_finished else HEADER_SECONDS
                if now - request.began > allowed:
                    channel.will_close = True

    server.maintenance = maintenance
