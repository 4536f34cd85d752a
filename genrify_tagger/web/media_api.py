"""The API of a song's media, for tracks and uploads: audio, Opus, pictures, cover, similar tracks."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Response, abort, jsonify, request

from genrify_tagger.analysis import FloatArray
from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline import Session, TrackReport, inspect_file
from genrify_tagger.store import FileRecord
from genrify_tagger.web import query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.ids import track
from genrify_tagger.web.media import OPUS_TYPE, PLAYABLE_TYPES, Artifacts, open_regular_file, send_file
from genrify_tagger.web.png import heatmap_png

api = Blueprint("media_api", __name__, url_prefix="/api")

COLUMNS = 800
COVER_SIZE = 320  # pixels a side

ApiResponse = Response | tuple[Response, int]


@dataclass(frozen=True)
class _Source:
    """A file, its address under /api and its version."""

    path: str
    at: str
    version: str

    @property
    def suffix(self) -> str:
        return os.path.splitext(self.path)[1].lower()


@api.get("/<any(tracks, uploads):kind>/<key>/audio")
def get_audio(kind: str, key: str) -> Response:
    """Return the file as it is, or a range of it."""
    source = _source(kind, key)
    return send_file(open_regular_file(source.path), PLAYABLE_TYPES.get(source.suffix, "application/octet-stream"))


@api.get("/<any(tracks, uploads):kind>/<key>/sound")
def get_sound(kind: str, key: str) -> ApiResponse:
    """Return the address of audio that browsers can play, transcoded to Opus if necessary."""
    source = _source(kind, key)
    media_type = PLAYABLE_TYPES.get(source.suffix)
    if media_type is not None and "converted" not in request.args:
        return jsonify(url=f"{source.at}/audio", type=media_type, converted=False)
    made = _prepare(source, "opus", lambda session: {"opus": session.workers.to_opus(source.path)})
    return _ready_or_pending(made, url=f"{source.at}/opus?version={source.version}", type=OPUS_TYPE, converted=True)


@api.get("/<any(tracks, uploads):kind>/<key>/opus")
def get_opus(kind: str, key: str) -> Response:
    """Return a song as Opus, or a range of it, after `get_sound` rendered it; a version outlives a tag write."""
    return send_file(open_regular_file(_prepared_path(_source(kind, key), "opus", "opus")), OPUS_TYPE)


@api.get("/<any(tracks, uploads):kind>/<key>/picture")
def get_picture(kind: str, key: str) -> ApiResponse:
    """Return the waveform, and the address of the spectrogram."""
    source = _source(kind, key)
    made = _prepare(source, "picture", lambda session: _render_picture(session, source.path))
    if made is None:
        return _ready_or_pending(None)
    with open(made["json"], encoding="ascii") as file:
        return jsonify(**json.load(file), mel=f"{source.at}/mel.png?version={source.version}")


@api.get("/<any(tracks, uploads):kind>/<key>/mel.png")
def get_mel_spectrogram(kind: str, key: str) -> Response:
    """Return the mel spectrogram, after `get_picture` rendered it; a version outlives a tag write."""
    return send_file(open_regular_file(_prepared_path(_source(kind, key), "picture", "png")), "image/png")


@api.get("/<any(tracks, uploads):kind>/<key>/cover")
def get_cover(kind: str, key: str) -> ApiResponse:
    """Return the address of the picture embedded in a file, None if there is none."""
    source = _source(kind, key)
    made = _prepare(
        source, "cover", lambda session: {"jpeg": session.workers.read_cover(source.path, size=COVER_SIZE) or b""}
    )
    if made is None:
        return _ready_or_pending(None)
    has_cover = os.path.getsize(made["jpeg"]) > 0
    return jsonify(url=f"{source.at}/cover.jpg?version={source.version}" if has_cover else None)


@api.get("/<any(tracks, uploads):kind>/<key>/cover.jpg")
def get_cover_jpeg(kind: str, key: str) -> Response:
    """Return the embedded picture as a small JPEG, after `get_cover` read it."""
    return send_file(open_regular_file(_prepared_path(_source(kind, key), "cover", "jpeg")), "image/jpeg")


@api.get("/<any(tracks, uploads):kind>/<key>/similar")
def list_similar(kind: str, key: str) -> ApiResponse:
    """Return the most similar tracks of the library."""
    count = query.int_param(request.args, "count", default=10, least=1, most=100)
    embedding, audio_key = _embedding(kind, key)
    found = app_context().embedding_index.nearest(embedding, count=count, but_not=audio_key)
    return jsonify(similar=[views.similar_json(app_context().session, neighbour) for neighbour in found])


def inspect_track(record: FileRecord) -> TrackReport:
    """Return the report of a track, analysing it first if necessary.

    Raises
    ------
    GenrifyError
        If it is gone or cannot be analysed.
    """
    open_regular_file(record.path).close()
    with app_context().media.worker_slot():
        return inspect_file(app_context().session, record.path)


def current_titles(record: FileRecord) -> dict[str, str]:
    """Return title, artist and album as the file has them now; empty if they cannot be read."""
    try:
        with app_context().media.worker_slot():
            return app_context().session.workers.read_titles(record.path)
    except GenrifyError:
        return {}


def _source(kind: str, key: str) -> _Source:
    at = f"{request.script_root}/api/{kind}/{key}"
    if kind == "uploads":
        upload = app_context().uploads.find(key) or abort(404, "no such upload, or it was deleted")
        return _Source(upload.path, at, key)
    record = track(key)
    try:
        version = hashlib.blake2b(str(file_stat(record.path)).encode(), digest_size=8).hexdigest()
        return _Source(record.path, at, version)
    except OSError:
        abort(404, "the file is gone")


def _prepare(source: _Source, what: str, make: Callable[[Session], Artifacts]) -> dict[str, str] | None:
    media = app_context().media
    return media.request_artifacts(_cache_key(source, what, source.version), functools.partial(make, media.session))


def _prepared_path(source: _Source, what: str, name: str) -> str:
    key = _cache_key(source, what, request.args.get("version", source.version))
    return app_context().media.path_of(key, name) or abort(404, f"ask for the {what} first")


def _cache_key(source: _Source, what: str, version: str) -> str:
    return f"{what}|{source.path}|{version}"


def _ready_or_pending(made: object | None, **answer: object) -> ApiResponse:
    if made is None:
        response = jsonify(ready=False)
        response.headers["Retry-After"] = "1"
        return response, 202
    return jsonify(**answer)


def _render_picture(session: Session, path: str) -> Artifacts:
    found = session.workers.render_pictures(path, columns=COLUMNS)
    waveform = {"duration": found.duration, "peaks": found.peaks.tolist(), "levels": found.levels.tolist()}
    return {"json": json.dumps(waveform, separators=(",", ":")).encode("ascii"), "png": heatmap_png(found.mel)}


def _read_cover(session: Session, path: str) -> Artifacts:
    return {"jpeg": session.workers.read_cover(path, size=COVER_SIZE) or b""}


def _embedding(kind: str, key: str) -> tuple[FloatArray, str]:
    if kind == "uploads":
        upload = app_context().uploads.find(key) or abort(404, "no such upload, or it was deleted")
        track_report = upload.track_report or abort(409, "this song is not analysed yet")
    else:
        track_report = inspect_track(track(key))
    return track_report.analysis.embedding, track_report.identity.audio_key
