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
from genrify_tagger.pipeline import Session, TrackReport, inspect_file, read_titles, render_pictures, to_opus
from genrify_tagger.store import FileRecord
from genrify_tagger.web import query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.ids import track
from genrify_tagger.web.media import OPUS, PLAYABLE, Parts, open_plain, send
from genrify_tagger.web.png import heat

api = Blueprint("media_api", __name__, url_prefix="/api")

COLUMNS = 800

Answer = Response | tuple[Response, int]


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
def audio(kind: str, key: str) -> Response:
    """Return the file as it is, or a range of it."""
    source = _source(kind, key)
    return send(open_plain(source.path), PLAYABLE.get(source.suffix, "application/octet-stream"))


@api.get("/<any(tracks, uploads):kind>/<key>/sound")
def sound(kind: str, key: str) -> Answer:
    """Return the address of audio that browsers can play, transcoded to Opus if necessary."""
    source = _source(kind, key)
    media_type = PLAYABLE.get(source.suffix)
    if media_type is not None and "converted" not in request.args:
        return jsonify(url=f"{source.at}/audio", type=media_type, converted=False)
    made = _asked(source, "opus", lambda session: {"opus": to_opus(session, source.path)})
    return _ready(made, url=f"{source.at}/opus?version={source.version}", type=OPUS, converted=True)


@api.get("/<any(tracks, uploads):kind>/<key>/opus")
def opus(kind: str, key: str) -> Response:
    """Return a song as Opus, or a range of it, after `get_sound` rendered it; a version outlives a tag write."""
    return send(open_plain(_made(_source(kind, key), "opus", "opus")), OPUS)


@api.get("/<any(tracks, uploads):kind>/<key>/picture")
def picture(kind: str, key: str) -> Answer:
    """Return the waveform, and the address of the spectrogram."""
    source = _source(kind, key)
    made = _asked(source, "picture", lambda session: _drawn(session, source.path))
    if made is None:
        return _ready(None)
    with open(made["json"], encoding="ascii") as file:
        return jsonify(**json.load(file), mel=f"{source.at}/mel.png?version={source.version}")


@api.get("/<any(tracks, uploads):kind>/<key>/mel.png")
def mel(kind: str, key: str) -> Response:
    """Return the mel spectrogram, after `get_picture` rendered it; a version outlives a tag write."""
    return send(open_plain(_made(_source(kind, key), "picture", "png")), "image/png")


@api.get("/<any(tracks, uploads):kind>/<key>/similar")
def similar(kind: str, key: str) -> Answer:
    """Return the most similar tracks of the library."""
    count = query.whole(request.args, "count", default=10, least=1, most=100)
    embedding, audio_key = _embedding(kind, key)
    found = app_context().neighbours.nearest(embedding, count=count, but_not=audio_key)
    return jsonify(similar=[views.as_neighbour(app_context().session, neighbour) for neighbour in found])


def report_of(record: FileRecord) -> TrackReport:
    """Return the report of a track, analysing it first if necessary.

    Raises
    ------
    GenrifyError
        If it is gone or cannot be analysed.
    """
    open_plain(record.path).close()
    with app_context().media.turn():
        return inspect_file(app_context().session, record.path)


def titles_of(record: FileRecord) -> dict[str, str]:
    """Return title, artist and album as the file has them now; empty if they cannot be read."""
    try:
        with app_context().media.turn():
            return read_titles(app_context().session, record.path)
    except GenrifyError:
        return {}


def _source(kind: str, key: str) -> _Source:
    at = f"/api/{kind}/{key}"
    if kind == "uploads":
        upload = app_context().uploads.find(key) or abort(404, "no such upload, or it was deleted")
        return _Source(upload.path, at, key)
    record = track(key)
    try:
        version = hashlib.blake2b(str(file_stat(record.path)).encode(), digest_size=8).hexdigest()
        return _Source(record.path, at, version)
    except OSError:
        abort(404, "the file is gone")


def _asked(source: _Source, what: str, make: Callable[[Session], Parts]) -> dict[str, str] | None:
    media = app_context().media
    return media.ask(_key(source, what, source.version), functools.partial(make, media.session))


def _made(source: _Source, what: str, name: str) -> str:
    key = _key(source, what, request.args.get("version", source.version))
    return app_context().media.have(key, name) or abort(404, f"ask for the {what} first")


def _key(source: _Source, what: str, version: str) -> str:
    return f"{what}|{source.path}|{version}"


def _ready(made: object | None, **answer: object) -> Answer:
    if made is None:
        response = jsonify(ready=False)
        response.headers["Retry-After"] = "1"
        return response, 202
    return jsonify(**answer)


def _drawn(session: Session, path: str) -> Parts:
    found = render_pictures(session, path, columns=COLUMNS)
    waveform = {"duration": found.duration, "peaks": found.peaks.tolist(), "levels": found.levels.tolist()}
    return {"json": json.dumps(waveform, separators=(",", ":")).encode("ascii"), "png": heat(found.mel)}


def _embedding(kind: str, key: str) -> tuple[FloatArray, str]:
    if kind == "uploads":
        upload = app_context().uploads.find(key) or abort(404, "no such upload, or it was deleted")
        track_report = upload.track_report or abort(409, "this song is not analysed yet")
    else:
        track_report = report_of(track(key))
    return track_report.analysis.embedding, track_report.identity.audio_key
