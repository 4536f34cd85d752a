"""HTTP requests to players; what goes wrong is said without the secrets of a URL."""

from __future__ import annotations

import http.client
import json
import string
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from genrify_tagger import __version__
from genrify_tagger.errors import PlayerError

_MOST = 1 << 22  # bytes of an answer that are read


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a POST would become a GET, and a key might go to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def request(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: object = None,
    redirects: bool = False,
    seconds: float,
) -> bytes:
    """Request a URL and return the answer.

    Parameters
    ----------
    body : object
        Sent as JSON, if not None.
    redirects : bool
        Whether to follow redirects.
    seconds : float
        How long to wait for the connection, and for each part of the answer.

    Raises
    ------
    PlayerError
        If the server is away or answers with an error.
    """
    data = None if body is None else json.dumps(body).encode()
    more = {"User-Agent": f"genrify-tagger/{__version__}"}
    if body is not None:
        more["Content-Type"] = "application/json"
    opener = urllib.request.build_opener(*([] if redirects else [_NoRedirect]))
    try:
        wanted = urllib.request.Request(
            quote(url, safe=string.punctuation), data, {**(headers or {}), **more}, method=method
        )
        with opener.open(wanted, timeout=seconds) as answer:
            found: bytes = answer.read(_MOST)
            return found
    except urllib.error.HTTPError as error:
        raise PlayerError(_status(error)) from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise PlayerError(getattr(reason, "strerror", None) or str(reason)) from error
    except (ValueError, http.client.InvalidURL) as error:
        raise PlayerError("the URL is not valid") from error
    except http.client.HTTPException as error:
        raise PlayerError("the answer is not HTTP") from error


def request_json(url: str, *, headers: Mapping[str, str] | None = None, seconds: float) -> Any:
    """Request a URL and return the JSON in the answer.

    Raises
    ------
    PlayerError
        As `request`, or if the answer is not JSON.
    """
    try:
        return json.loads(request(url, headers={"Accept": "application/json", **(headers or {})}, seconds=seconds))
    except ValueError as error:
        raise PlayerError("the answer is not the expected one; is the URL right?") from error


def without_secrets(url: str) -> str:
    """Return a URL without its query, user name and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "not a URL"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _status(error: urllib.error.HTTPError) -> str:
    moved = error.headers.get("Location") if 300 <= error.code < 400 else None
    hint = f"; it has moved to {without_secrets(moved)}" if moved else ""
    return f"{error.code} {error.reason}{hint}"
