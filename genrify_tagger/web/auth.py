"""Who may come in: by which host name, with which token, and from which page.

* The Host header must name this machine. A foreign name that was made to point here (DNS rebinding) is refused.
* With a token, every request needs it: as ``Authorization: Bearer``, or as the cookie that the log-in gives.
* What changes anything needs the header ``X-Genrify``, which no page of another origin can send, and an Origin, if the
  browser names one, that is this page.
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
_GUESSES, _WINDOW = 20, 60.0  # wrong tokens in so many seconds, after which nobody is let in for a while


class Auth:
    """The rules that a server's settings give.

    Parameters
    ----------
    settings : WebSettings

    Raises
    ------
    ConfigError
        If the page would be open to others without a token, or with one that is soon guessed.
    """

    def __init__(self, settings: WebSettings) -> None:
        self._token = settings.token
        self.is_open = not settings.token
        local = is_loopback(settings.host)
        if self.is_open and not local:
            raise ConfigError(
                f"on {settings.host} others can reach the page, so it needs a token",
                hint="set GENRIFY_WEB__TOKEN or web.token to a long random word",
            )
        if self._token and not local and len(self._token) < SHORTEST_TOKEN:
            raise ConfigError(f"web.token must have at least {SHORTEST_TOKEN} characters")
        self._any_address = not local
        self._names = _LOOPBACK_NAMES | {name.lower() for name in settings.names}
        if not local:
            own = socket.gethostname().lower()
            self._names |= {settings.host.lower(), own, f"{own}.local", socket.getfqdn().lower()}
        self._lock = threading.Lock()
        self._wrong: deque[float] = deque()

    def knows_host(self, host: str) -> bool:
        """Tell whether a Host header names this machine; an address is no name that could be made to point here."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower().rstrip(".")
        except ValueError:
            return False
        return name in self._names or (self._any_address and _address(name) is not None)

    @property
    def pass_value(self) -> str:
        """The value of the cookie of those who have shown the token; it does not give the token away."""
        return hmac.new(self._token.encode(), b"genrify-tagger page", hashlib.sha256).hexdigest()

    def admits(self, request: Request) -> bool:
        """Tell whether a request shows the token, in its headers or its cookie."""
        return self.is_open or self.admits_headers(
            request.headers.get("Authorization", ""), request.cookies.get(COOKIE, "")
        )

    def admits_headers(self, authorization: str, cookie: str) -> bool:
        """Tell whether one of two values shows the token."""
        if self.is_open or _same(cookie, self.pass_value):
            return True
        kind, _, word = authorization.partition(" ")
        return kind.lower() == "bearer" and self.is_token(word.strip())

    def is_token(self, word: str) -> bool:
        """Tell whether a word is the token; after too many wrong ones it is said of none for a while."""
        now = time.monotonic()
        with self._lock:
            while self._wrong and self._wrong[0] < now - _WINDOW:
                self._wrong.popleft()
            if len(self._wrong) >= _GUESSES:
                return False
            if word and _same(word, self._token):
                return True
            self._wrong.append(now)
            return False


def is_loopback(host: str) -> bool:
    """Tell whether an address can be reached from this machine only."""
    found = _address(host.strip("[]"))
    return host.lower() == "localhost" if found is None else found.is_loopback


def comes_from_here(request: Request) -> bool:
    """Tell whether a request was made by the page itself or by a program, but by no other page."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        return False
    return request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())
