"""The API of uploads: receive songs, report on them, return tagged copies."""

from __future__ import annotations

import os
from urllib.parse import unquote

from flask import Blueprint, Response, abort, jsonify, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from genrify_tagger.web import views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.media import open_regular_file, send_file
from genrify_tagger.web.uploads import Upload

api = Blueprint("upload_api", __name__, url_prefix="/api")

MAX_IDS = 200
NAME_HEADER = "X-File-Name"

ApiResponse = Response | tuple[Response, int]


@api.post("/uploads")
def create_upload() -> ApiResponse:
    """Receive a song: the body is the file, a header its name."""
    uploads = app_context().uploads
    request.max_content_length = uploads.largest
    size = request.content_length
    if size is None:
        abort(411, "the request needs a Content-Length")
    name = unquote(request.headers.get(NAME_HEADER, ""), errors="replace")
    upload = uploads.add(request.stream, size, name)
    return jsonify(views.upload_json(app_context().session, upload)), 201


@api.get("/uploads")
def list_uploads() -> ApiResponse:
    """Return the state of some uploads; deleted ones are left out."""
    wanted = request.args.getlist("id")
    if not 0 < len(wanted) <= MAX_IDS:
        abort(400, f"give 1 to {MAX_IDS} uploads")
    found = (app_context().uploads.find(key) for key in wanted)
    return jsonify(uploads=[views.upload_json(app_context().session, upload) for upload in found if upload is not None])


@api.get("/uploads/<key>")
def get_upload(key: str) -> ApiResponse:
    """Return the state of an upload and, once it is analysed, its report."""
    return jsonify(views.upload_json(app_context().session, _find_upload(key)))


@api.delete("/uploads/<key>")
def delete_upload(key: str) -> ApiResponse:
    """Delete an upload."""
    if not app_context().uploads.remove(key):
        abort(404, "no such upload, or it was deleted")
    return jsonify(ok=True)


@api.get("/uploads/<key>/tagged")
def download_tagged_copy(key: str) -> Response:
    """Return a copy of the file with the given genres, by default the decided ones."""
    upload = _find_upload(key)
    if upload.track_report is None:
        abort(409, "this song is not analysed yet")
    if "Range" in request.headers:
        raise RequestedRangeNotSatisfiable
    session = app_context().session
    decided = [session.words.written_name(label) for label in upload.track_report.decision.genres]
    genres = tuple(name.strip() for name in request.args.getlist("genre") if name.strip()) or tuple(decided)
    if not genres:
        abort(400, "the genre is unsure; give one")
    if len(genres) > 10 or not all(name.isprintable() and len(name) <= 100 for name in genres):
        abort(400, "a genre must be one line of 1 to 100 characters")
    copy = app_context().uploads.tagged_copy(upload, genres)
    file = open_regular_file(os.path.realpath(copy))
    os.unlink(copy)  # the open file can still be sent
    response = send_file(file, "application/octet-stream", download=upload.name)
    response.headers["Cache-Control"] = "no-store"
    return response


def _find_upload(key: str) -> Upload:
    return app_context().uploads.find(key) or abort(404, "no such upload, or it was deleted")
