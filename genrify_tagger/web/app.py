"""The Flask application: pages, API, access checks and error responses."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask, jsonify, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response as AnyResponse

from genrify_tagger.errors import GenrifyError, StoreError
from genrify_tagger.files import counted, printable
from genrify_tagger.web import api, learning_api, media_api, pages, upload_api
from genrify_tagger.web.app_context import AppContext
from genrify_tagger.web.base_path import BasePathMiddleware
from genrify_tagger.web.security import MAX_JSON, protect
from genrify_tagger.web.uploads import UploadRefusedError

log = logging.getLogger(__name__)


def make_app(context: AppContext) -> Flask:
    """Return the Flask application for a context."""
    app = Flask(__name__)
    app.extensions["genrify"] = context
    app.config["MAX_CONTENT_LENGTH"] = MAX_JSON
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    protect(app)
    for blueprint in (pages.pages, api.api, learning_api.api, media_api.api, upload_api.api):
        app.register_blueprint(blueprint)
    app.register_error_handler(HTTPException, _handle_http_error)
    app.register_error_handler(GenrifyError, _handle_own_error)
    app.register_error_handler(OSError, _handle_file_error)
    app.register_error_handler(Exception, _handle_unexpected_error)
    app.context_processor(_template_globals)
    app.wsgi_app = BasePathMiddleware(app.wsgi_app, context.base_path)  # type: ignore[method-assign]
    return app


def _template_globals() -> dict[str, Any]:
    """Return the variables that every template may use."""
    return {"base": request.script_root, "counted": counted}


def _handle_http_error(error: HTTPException) -> AnyResponse | tuple[AnyResponse | str, int]:
    code = error.code or 500
    message = str(error.description or error.name)
    if isinstance(error, NotFound) and request.routing_exception is error:
        message = (
            f"there is no page {printable(request.path)}; behind a reverse proxy, set web.base_path to the page's path"
        )
    if request.path.startswith("/api/"):
        return jsonify(error=message), code
    return render_template("error.html", code=code, message=message), code


def _handle_own_error(error: GenrifyError) -> AnyResponse | tuple[AnyResponse | str, int]:
    code = error.status if isinstance(error, UploadRefusedError) else 503 if isinstance(error, StoreError) else 422
    if request.path.startswith("/api/"):
        return jsonify(error=str(error)), code
    return render_template("error.html", code=code, message=str(error)), code


def _handle_file_error(error: OSError) -> AnyResponse | tuple[AnyResponse | str, int]:
    """Answer about a file that was moved or deleted during the request, for example."""
    reason = (error.strerror or str(error)).lower()
    return _handle_own_error(GenrifyError(f"the file cannot be read or written: {reason}"))


def _handle_unexpected_error(error: Exception) -> AnyResponse | tuple[AnyResponse | str, int]:
    log.exception("unexpected error on %s %s", request.method, request.path, exc_info=error)
    return _handle_http_error(InternalServerError("unexpected error; see the program's log"))
