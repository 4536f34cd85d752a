"""Hearing and seeing a song, of the library or dropped: the file, Opus, pictures, what sounds like it."""

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
    """A file to hear and see: where it is, where it is called for under /api, and which version of it is meant."""

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
    """Return an address that the browser can play; what it cannot play is turned into Opus first."""
    source = _source(kind, key)
    media_type = PLAYABLE.get(source.suffix)
    if media_type is not None and "converted" not in request.args:
        return jsonify(url=f"{source.at}/audio", type=media_type, converted=False)
    made = _asked(source, "opus", lambda session: {"opus": to_opus(session, source.path)})
    return _ready(made, url=f"{source.at}/opus?version={source.version}", type=OPUS, converted=True)


@api.get("/<any(tracks, uploads):kind>/<key>/opus")
def opus(kind: str, key: str) -> Response:
    """Return a song as Opus, or a range of it, once `sound` has had it made; by version, though a tag was written."""
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
    """Return the mel spectrogram of a song, once `picture` has had it made; by version, though a tag was written."""
    return send(open_plain(_made(_source(kind, key), "picture", "png")), "image/png")


@api.get("/<any(tracks, uploads):kind>/<key>/similar")
def similar(kind: str, key: str) -> Answer:
    """Return the tracks of the library that sound most like a song."""
    count = query.whole(request.args, "count", default=10, least=1, most=100)
    embedding, audio_key = _embedding(kind, key)
    found = app_context().neighbours.nearest(embedding, count=count, but_not=audio_key)
    return jsonify(similar=[views.as_neighbour(app_context().session, neighbour) for neighbour in found])


def report_of(record: FileRecord) -> TrackReport:
    """Return all that is known of a track; it is listened to if it never was.

    Raises
    ------
    GenrifyError
        If it cannot be read or listened to, or is not where it was.
    """
    open_plain(record.path).close()
    with app_context().media.turn():
        return inspect_file(app_context().session, record.path)


def titles_of(record: FileRecord) -> dict[str, str]:
    """Return title, artist and album as a track's file has them now; empty where they cannot be read."""
    try:
        with app_context().media.turn():
            return read_titles(app_context().session, record.path)
    except GenrifyError:
        return {}


def _source(kind: str, key: str) -> _Source:
    at = f"/api/{kind}/{key}"
    if kind == "uploads":
        upload = app_context().uploads.find(key) or abort(404, "there is no such upload, or not any more")
        return _Source(upload.path, at, key)
    record = track(key)
    try:
        version = hashlib.blake2b(str(file_stat(record.path)).encode(), digest_size=8).hexdigest()
        return _Source(record.path, at, version)
    except OSError:
        abort(404, "the file is not there any more")


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
        upload = app_context().uploads.find(key) or abort(404, "there is no such upload, or not any more")
        track_report = upload.track_report or abort(409, "this song was not listened to yet")
    else:
        track_report = report_of(track(key))
    return track_report.analysis.embedding, track_report.identity.audio_key
