"""The JSON API of what is computed over the whole library: the audit, and learning."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, request

from genrify_tagger.web import query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.audit_list import MOST_SONGS, PER_PAGE

api = Blueprint("learning_api", __name__, url_prefix="/api")


@api.get("/audit")
def get_audit() -> Response:
    """Return how far the audit is, and a page of what the last one found."""
    page = query.int_param(request.args, "page", default=1, least=1, most=MOST_SONGS // PER_PAGE)
    context = app_context()
    status = asdict(context.audit.status)  # before the result, which is there when it says so
    return jsonify(**status, **views.audit_json(context.session, context.audit.result, page))


@api.post("/audit")
def start_audit() -> tuple[Response, int]:
    """Start an audit unless one is running; no file is changed."""
    app_context().audit.start()
    return jsonify(asdict(app_context().audit.status)), 202


@api.get("/learn")
def get_learning() -> Response:
    """Return how far learning is, and what came of it."""
    context = app_context()
    status, outcome = asdict(context.learning.status), context.learning.result
    return jsonify(**status, summary=outcome and outcome.summary, in_use=outcome and outcome.in_use)


@api.post("/learn")
def start_learning() -> tuple[Response, int]:
    """Start learning from the library unless that is in progress; no file is changed."""
    app_context().learning.start()
    return jsonify(asdict(app_context().learning.status)), 202
