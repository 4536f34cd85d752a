"""Access checks before every request, and security headers on every response."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Flask, Response, abort, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from genrify_tagger.files import printable
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.auth import HEADER, host_name

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
#: Served without a token, because the login page needs them.
PUBLIC_ENDPOINTS = {"pages.login_page", "api.log_in", "static", "pages.favicon"}
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
    """Install the access checks and the security headers."""
    app.before_request(_check_request)
    app.after_request(_add_security_headers)


def _check_request() -> AnyResponse | None:
    if not app_context().auth.allows_host(request.host):
        abort(421, f"unknown host name {printable(host_name(request.host))!r}; add it to web.names in the settings")
    if request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"} and not _is_navigation():
        abort(403, "other sites may link here, but not read or embed")
    if request.method not in SAFE_METHODS:
        _check_change()
    if request.endpoint not in PUBLIC_ENDPOINTS and not app_context().auth.accepts(request):
        if request.path.startswith("/api/"):
            abort(401, "the token is missing or wrong")
        return redirect(_login_url(request.full_path.rstrip("?")))
    return None


def _login_url(wanted: str) -> str:
    base = request.script_root
    return f"{base}/login" if wanted == "/" else f"{base}/login?{urlencode({'to': base + wanted})}"


def safe_redirect_target(wanted: str) -> str:
    r"""Return a redirect target within this site, "/" for anything that may lead elsewhere.

    Browsers treat a backslash as a slash and drop tabs and newlines, so "/\host" and "/\t/host" are external, too.
    """
    is_external = not wanted.startswith("/") or wanted.startswith("//") or "\\" in wanted or not wanted.isprintable()
    return f"{request.script_root}/" if is_external else wanted


def _is_navigation() -> bool:
    """Return whether the request is a user following a link to a page."""
    wanted = request.headers.get("Sec-Fetch-Mode"), request.headers.get("Sec-Fetch-Dest")
    return request.method == "GET" and wanted == ("navigate", "document") and not request.path.startswith("/api/")


def _check_change() -> None:
    if request.headers.get(HEADER) is None:
        abort(403, f"a request that changes something needs the header {HEADER}")
    if not app_context().auth.allows_origin(request):
        origin = printable(request.headers.get("Origin", "another site"))
        abort(
            403,
            f"the request comes from {origin}, not from this page; if a reverse proxy serves the page there, "
            "add that host name to web.names in the settings",
        )


def _add_security_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers[name] = value
    if "Cache-Control" not in response.headers or response.status_code >= 400:
        response.headers["Cache-Control"] = "no-store"
    return response
