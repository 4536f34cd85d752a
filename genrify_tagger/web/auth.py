"""Access rules: host name, token, and origin.

* The Host header must name this machine; foreign names that resolve to it (DNS rebinding) are refused.
* If a token is set, every request needs it: as ``Authorization: Bearer``, or as the cookie that the login sets.
* A request that changes something needs the header ``X-Genrify``, which other origins cannot send, and an Origin, if
  the browser sends one, that is this page.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import threading
import time
from collections import deque
from urllib.parse import urlsplit

from flask import Request

from genrify_tagger.config import WebSettings
from genrify_tagger.errors import ConfigError

COOKIE = "genrify"
HEADER = "X-Genrify"
SHORTEST_TOKEN = 12
_LOOPBACK_NAMES = {"localhost", "127.0.0.1", "::1"}
_MAX_WRONG, _WINDOW = 20, 60.0  # wrong tokens within so many seconds; then logins are refused for a while


class Auth:
    """The access rules of a server.

    Parameters
    ----------
    settings : WebSettings

    Raises
    ------
    ConfigError
        If others could reach the page without a token, or with a short one.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._token = settings.token
        self.is_open = not settings.token
        local = is_loopback(settings.host)
        if self.is_open and not local:
            raise ConfigError(
                f"the page can be reached by others on {settings.host}, so it needs a token",
                hint="set GENRIFY_WEB__TOKEN or web.token to a long random word",
            )
        if self._token and not local and len(self._token) < SHORTEST_TOKEN:
            raise ConfigError(f"web.token must have at least {SHORTEST_TOKEN} characters")
        self._any_address = not local
        self._configured_names = {name.lower() for name in settings.names}
        self._names = _LOOPBACK_NAMES | self._configured_names
        if not local:
            own = socket.gethostname().lower()
            self._names |= {settings.host.lower(), own, f"{own}.local", socket.getfqdn().lower()}
        self._lock = threading.Lock()
        self._wrong: deque[float] = deque()

    def allows_host(self, host: str) -> bool:
        """Return whether a Host header names this machine; any plain IP address is allowed, as it cannot be rebound."""
        name = host_name(host)
        return name in self._names or (self._any_address and _address(name) is not None)

    def allows_origin(self, request: Request) -> bool:
        """Return whether a request comes from this page or from a program, not from another site.

        A reverse proxy may rewrite the Host header, so the names in `web.names` are this page's origins, too.
        """
        origin = request.headers.get("Origin")
        if origin is not None:
            authority = urlsplit(origin).netloc.lower()
            if authority != request.host.lower() and host_name(authority) not in self._configured_names:
                return False
        return request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}

    @property
    def cookie_value(self) -> str:
        """The login cookie's value; it does not reveal the token."""
        return hmac.new(self._token.encode(), b"genrify-tagger page", hashlib.sha256).hexdigest()

    def accepts(self, request: Request) -> bool:
        """Return whether a request carries the token, as header or cookie."""
        return self.is_open or self.accepts_credentials(
            request.headers.get("Authorization", ""), request.cookies.get(COOKIE, "")
        )

    def accepts_credentials(self, authorization: str, cookie: str) -> bool:
        """Return whether the Authorization header or the login cookie is valid."""
        if self.is_open or _same(cookie, self.cookie_value):
            return True
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.is_token(token.strip())

    def is_token(self, token: str) -> bool:
        """Return whether this is the token; after too many wrong ones every token is refused for a while."""
        now = time.monotonic()
        with self._lock:
            while self._wrong and self._wrong[0] < now - _WINDOW:
                self._wrong.popleft()
            if len(self._wrong) >= _MAX_WRONG:
                return False
            if token and _same(token, self._token):
                return True
            self._wrong.append(now)
            return False


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    found = _address(host.strip("[]"))
    return host.lower() == "localhost" if found is None else found.is_loopback


def host_name(authority: str) -> str:
    """Return the host name in a Host header or an origin, in lower case; "" if there is none."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
