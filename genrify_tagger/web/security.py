"""The rules of access put before every request, and the headers put on every answer."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.auth import HEADER, comes_from_here

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
OPEN_PAGES = {"pages.login", "api.login", "static", "pages.icon"}  # what must be seen before the token is shown
MAX_JSON = 1 << 20

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def protect(app: Flask) -> None:
    """Put the rules of access before every request of an app, and the headers on every answer."""
    app.before_request(_check)
    app.after_request(_harden)


def _check() -> AnyResponse | None:
    if not app_context().access.knows_host(request.host):
        abort(421, "this page is not known by that name; web.names in the settings lists further ones")
    if request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"} and not _is_visit():
        abort(403, "other pages may link here, but not look in")
    if request.method not in SAFE_METHODS:
        _check_change()
    if request.endpoint not in OPEN_PAGES and not app_context().access.admits(request):
        if request.path.startswith("/api/"):
            abort(401, "the token is missing or wrong")
        return redirect(_login_for(request.full_path.rstrip("?")))
    return None


def _login_for(wanted: str) -> str:
    return "/login" if wanted == "/" else f"/login?{urlencode({'to': wanted})}"


def page_within(wanted: str) -> str:
    r"""Return the address of a page of ours that somebody wants to get to; "/" for all that may lead elsewhere.

    Browsers take a backslash for a slash and leave out tabs and newlines, hence "/\host" and "/\t/host" lead away.
    """
    leads_away = not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable()
    return "/" if leads_away else wanted


def _is_visit() -> bool:
    """Tell whether a person follows a link to a page."""
    wanted = request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")
    return request.method == "GET" and wanted == ("navigate", "document") and not request.path.startswith("/api/")


def _check_change() -> None:
    if request.headers.get(HEADER) is None:
        abort(403, f"a request that changes something needs the header {HEADER}")
    if not comes_from_here(request):
        abort(403, "the request comes from another page")


def _harden(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    if "Cache-Control" not in response.headers or response.status_code >= 400:
        response.headers["Cache-Control"] = "no-store"
    return response
