"""Serving the page below a path of another site (`web.base_path`), behind a reverse proxy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def strip_base_path(path: str, base_path: str) -> str:
    """Return a request's path without the base path; proxies that remove it themselves are fine, too."""
    if base_path and (path == base_path or path.startswith(f"{base_path}/")):
        return path[len(base_path) :] or "/"
    return path


class BasePathMiddleware:
    """Serve an application below a base path.

    Parameters
    ----------
    app : WSGI application
    base_path : str
        "/genrify", or "" for the root.
    """

    def __init__(self, app: WSGIApplication, base_path: str) -> None:
        self._app = app
        self._base_path = base_path

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request; see PEP 3333."""
        environ["SCRIPT_NAME"] = self._base_path
        environ["PATH_INFO"] = strip_base_path(environ["PATH_INFO"], self._base_path)
        return self._app(environ, start_response)
