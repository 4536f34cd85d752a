"""The JSON API of the library: tracks, corrections, undo, runs, statistics. `openapi.py` documents it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, abort, jsonify, make_response, request

from genrify_tagger.files import counted, display_path
from genrify_tagger.pipeline import Result, changes_of_run, keep_genres, set_genres, undo_changes
from genrify_tagger.store import FileRecord
from genrify_tagger.web import query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.auth import COOKIE
from genrify_tagger.web.ids import track, tracks
from genrify_tagger.web.library_stats import service_status
from genrify_tagger.web.media_api import current_titles, inspect_track
from genrify_tagger.web.openapi import document
from genrify_tagger.web.tasks import Task

api = Blueprint("api", __name__, url_prefix="/api")

MAX_IDS = 500
MAX_GENRES = 10
_COOKIE_SECONDS = 180 * 24 * 3600

ApiResponse = Response | tuple[Response, int]


@api.get("/openapi.json")
def get_openapi() -> ApiResponse:
    """Return the OpenAPI document."""
    return jsonify(document(request.script_root))


@api.post("/login")
def log_in() -> ApiResponse:
    """Check the token and set the login cookie."""
    auth = app_context().auth
    token = _json_body({"token"}).get("token")
    if not auth.is_open and not (isinstance(token, str) and auth.is_token(token)):
        abort(401, "wrong token, or too many wrong attempts; wait a minute")
    response = make_response(jsonify(ok=True))
    if not auth.is_open:
        response.set_cookie(
            COOKIE,
            auth.cookie_value,
            max_age=_COOKIE_SECONDS,
            path=f"{request.script_root}/",
            httponly=True,
            samesite="Strict",
            secure=request.is_secure,
        )
    return response


@api.post("/logout")
def log_out() -> ApiResponse:
    """Delete the login cookie."""
    response = make_response(jsonify(ok=True))
    response.delete_cookie(COOKIE, path=f"{request.script_root}/", httponly=True, samesite="Strict")
    return response


@api.get("/tracks")
def list_tracks() -> ApiResponse:
    """Return a page of the library."""
    wanted = query.parse_query(request.args)
    page = wanted.find()
    before, after = wanted.neighbours(page)
    session = app_context().session
    shown = [views.track_json(session, record) for record in page.files]
    return jsonify(total=page.total, tracks=shown, before=before, after=after)


@api.get("/rows")
def list_rows() -> ApiResponse:
    """Return the current rows of some tracks."""
    wanted = request.args.getlist("id")
    if not 0 < len(wanted) <= query.MAX_PER_PAGE:
        abort(400, f"give 1 to {query.MAX_PER_PAGE} tracks")
    session = app_context().session
    return jsonify(tracks=[views.track_json(session, record) for record in tracks(wanted)])


@api.get("/tracks/<key>")
def get_track(key: str) -> ApiResponse:
    """Return the full report of a track, analysing it first if necessary."""
    record = track(key)
    session = app_context().session
    at = f"{request.script_root}/api/tracks/{key}"
    song = views.song_json(session, inspect_track(record), current_titles(record), key=key, at=at)
    changes = views.changes_json(session, session.store.changes(path=record.path, limit=50))
    return jsonify(**song, track=views.track_json(session, record), changes=changes)


@api.get("/genres")
def list_genres() -> ApiResponse:
    """Return the genres of the vocabulary in use."""
    session = app_context().session
    labels = session.active.vocabulary.labels
    return jsonify(
        genres=[
            {"label": label, "name": session.words.written_name(label), "path": session.active.written_path(label)}
            for label in labels
        ]
    )


@api.post("/genres")
def set_track_genres() -> ApiResponse:
    """Write genres chosen by the user into some tracks."""
    body = _json_body({"ids", "genres"})
    names = _string_list(body, "genres", least=0, most=MAX_GENRES)
    if not all(name.strip() and name.isprintable() and len(name) <= 100 for name in names):
        abort(400, "a genre must be one line of 1 to 100 characters")
    paths = [record.path for record in _requested_tracks(body)]
    session = app_context().session
    arguments = ["set", ", ".join(names) or "(none)", counted(len(paths), "file")]
    return _task_response(app_context().tasks.submit(arguments, lambda run: set_genres(session, run, paths, names)))


@api.post("/accept")
def accept_tracks() -> ApiResponse:
    """Write the suggested genre into some tracks, as chosen by the user."""
    records = _requested_tracks(_json_body({"ids"}))
    session = app_context().session
    guesses: dict[str, list[str]] = {}
    without_suggestion: list[str] = []
    for record in records:
        guess = views.suggested_genre(session, record)
        (without_suggestion if guess is None else guesses.setdefault(guess, [])).append(record.path)
    if not guesses:
        abort(400, "these tracks have no suggested genre to accept")

    def work(run: int) -> Iterator[Result]:
        yield from (
            Result(path=path, status="skipped", reason="it has no suggested genre") for path in without_suggestion
        )
        for guess, paths in guesses.items():
            yield from set_genres(session, run, paths, [guess])

    return _task_response(
        app_context().tasks.submit(["accept", counted(len(records) - len(without_suggestion), "file")], work)
    )


@api.post("/keep")
def keep_track_genres() -> ApiResponse:
    """Let the genres that some tracks have count as set by hand; no file is changed."""
    paths = [record.path for record in _requested_tracks(_json_body({"ids"}))]
    session = app_context().session
    arguments = ["keep", counted(len(paths), "file")]
    return _task_response(app_context().tasks.submit(arguments, lambda run: keep_genres(session, run, paths)))


@api.post("/runs/<int(max=2147483647):run>/undo")
def undo_run(run: int) -> ApiResponse:
    """Undo the changes of a run that are not undone yet."""
    session = app_context().session
    _refuse_beets(run)
    changes = changes_of_run(session, run)
    if not changes:
        abort(409, f"run {run} has no changes left to undo")
    return _task_response(
        app_context().tasks.submit(["undo", f"run {run}"], lambda number: undo_changes(session, number, changes))
    )


@api.post("/changes/<int(max=2147483647):change>/undo")
def undo_change(change: int) -> ApiResponse:
    """Undo one change of one file."""
    session = app_context().session
    found = session.store.change(change) or abort(404, f"there is no change {change}")
    if found.state != "done" or found.undone_by is not None:
        abort(409, f"change {change} is already undone, or was never written")
    _refuse_beets(found.run)
    arguments = ["undo", display_path(found.path)]
    return _task_response(app_context().tasks.submit(arguments, lambda number: undo_changes(session, number, [found])))


@api.get("/tasks/<key>")
def get_task(key: str) -> ApiResponse:
    """Return the state of a background task."""
    found = app_context().tasks.find(key) or abort(404, "there is no such task")
    return jsonify(views.task_json(app_context().session, found))


@api.get("/runs")
def list_runs() -> ApiResponse:
    """Return runs that changed files, newest first."""
    before = query.int_param(request.args, "before", default=0, least=0, most=query.MAX_ROW_ID)
    limit = query.int_param(request.args, "limit", default=50, least=1, most=200)
    store = app_context().session.store
    return jsonify(runs=views.runs_json(store, store.changing_runs(before=before or None, limit=limit)))


@api.get("/runs/<int(max=2147483647):run>")
def get_run(run: int) -> ApiResponse:
    """Return the changes of a run, newest first."""
    before = query.int_param(request.args, "before", default=0, least=0, most=query.MAX_ROW_ID)
    limit = query.int_param(request.args, "limit", default=100, least=1, most=500)
    session = app_context().session
    if session.store.run(run) is None:
        abort(404, f"there is no run {run}")
    changes = session.store.changes(run=run, before=before or None, limit=limit)
    return jsonify(run=run, changes=views.changes_json(session, changes))


@api.get("/overview")
def get_overview() -> ApiResponse:
    """Return the library's statistics."""
    return jsonify(app_context().stats.current())


@api.get("/service")
def get_service() -> ApiResponse:
    """Return what is running."""
    return jsonify(service_status(app_context().session, app_context().stats))


def _refuse_beets(run: int) -> None:
    kind = app_context().session.store.run_kinds([run]).get(run)
    if kind == "beets":
        abort(409, f"run {run} was made inside beets; undo it there: {views.BEETS_UNDO}")
    if kind == "beets_undo":
        abort(409, f"run {run} was undone inside beets; {views.BEETS_FORCE} writes the genres again")


def _task_response(task: Task) -> ApiResponse:
    return jsonify(views.task_json(app_context().session, task)), 202 if task.state == "running" else 200


def _json_body(keys: set[str]) -> dict[str, Any]:
    """Return the JSON object of a request, which must have exactly these keys."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # deeply nested brackets
        body = None
    if not isinstance(body, dict) or set(body) != keys:
        abort(400, f"the body must be a JSON object with {' and '.join(sorted(keys))}")
    return body


def _string_list(body: dict[str, Any], key: str, *, least: int, most: int) -> list[str]:
    found = body[key]
    if not (isinstance(found, list) and least <= len(found) <= most and all(isinstance(item, str) for item in found)):
        abort(400, f"{key} must be a list of {least} to {most} strings")
    return found


def _requested_tracks(body: dict[str, Any]) -> list[FileRecord]:
    """Return the tracks asked for, and the unsure copies of those that are unsure: the queue has a song once."""
    found = tracks(_string_list(body, "ids", least=1, most=MAX_IDS)) or abort(404, "no such tracks in the library")
    unsure = [record.audio_key for record in found if record.status == "unsure" and record.audio_key]
    copies = app_context().session.store.files_of_songs(unsure) if unsure else []
    more = {record.path: record for record in copies if record.status == "unsure"}
    return list({**{record.path: record for record in found}, **more}.values())
