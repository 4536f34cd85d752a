"""The JSON API of the library: tracks, corrections, undo, runs, statistics. `openapi.py` documents it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, abort, jsonify, make_response, request

from genrify_tagger.files import counted, display_path
from genrify_tagger.pipeline import Result, changes_of_run, set_genres, undo_changes
from genrify_tagger.store import FileRecord
from genrify_tagger.web import query, views
from genrify_tagger.web.app_context import app_context
from genrify_tagger.web.auth import COOKIE
from genrify_tagger.web.ids import track, tracks
from genrify_tagger.web.library_stats import service
from genrify_tagger.web.media_api import report_of, titles_of
from genrify_tagger.web.openapi import document
from genrify_tagger.web.tasks import Task

api = Blueprint("api", __name__, url_prefix="/api")

MOST_IDS = 500
MOST_GENRES = 10
_MONTHS = 180 * 24 * 3600

Answer = Response | tuple[Response, int]


@api.get("/openapi.json")
def openapi() -> Answer:
    """Return the OpenAPI document."""
    return jsonify(document())


@api.post("/login")
def login() -> Answer:
    """Check the token and set the login cookie."""
    access = app_context().access
    word = _body({"token"}).get("token")
    if not access.is_open and not (isinstance(word, str) and access.is_token(word)):
        abort(401, "wrong token, or too many wrong attempts; wait a minute")
    response = make_response(jsonify(ok=True))
    if not access.is_open:
        response.set_cookie(
            COOKIE, access.pass_value, max_age=_MONTHS, httponly=True, samesite="Strict", secure=request.is_secure
        )
    return response


@api.post("/logout")
def logout() -> Answer:
    """Delete the login cookie."""
    response = make_response(jsonify(ok=True))
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return response


@api.get("/tracks")
def list_tracks() -> Answer:
    """Return a page of the library."""
    wanted = query.parse(request.args)
    page = wanted.find()
    before, after = wanted.places(page)
    session = app_context().session
    shown = [views.as_track(session, record) for record in page.files]
    return jsonify(total=page.total, tracks=shown, before=before, after=after)


@api.get("/rows")
def some_rows() -> Answer:
    """Return the current rows of some tracks."""
    wanted = request.args.getlist("id")
    if not 0 < len(wanted) <= query.MOST:
        abort(400, f"name 1 to {query.MOST} tracks")
    session = app_context().session
    return jsonify(tracks=[views.as_track(session, record) for record in tracks(wanted)])


@api.get("/tracks/<key>")
def one_track(key: str) -> Answer:
    """Return the full report of a track, analysing it first if necessary."""
    record = track(key)
    session = app_context().session
    song = views.as_song(session, report_of(record), titles_of(record), key=key, at=f"/api/tracks/{key}")
    changes = [views.as_change(change) for change in session.store.changes(path=record.path, limit=50)]
    return jsonify(**song, track=views.as_track(session, record), changes=changes)


@api.get("/genres")
def genres() -> Answer:
    """Return the genres of the vocabulary in use."""
    session = app_context().session
    labels = session.vocabulary.labels
    return jsonify(genres=[{"label": label, "name": session.written_name(label)} for label in labels])


@api.post("/genres")
def choose() -> Answer:
    """Write genres chosen by the user into some tracks."""
    body = _body({"ids", "genres"})
    names = _texts(body, "genres", least=0, most=MOST_GENRES)
    if not all(name.strip() and name.isprintable() and len(name) <= 100 for name in names):
        abort(400, "a genre must be one line of 1 to 100 characters")
    paths = [record.path for record in _named(body)]
    session = app_context().session
    arguments = ["set", ", ".join(names) or "(none)", counted(len(paths), "file")]
    return _told(app_context().tasks.carry_out(arguments, lambda run: set_genres(session, run, paths, names)))


@api.post("/accept")
def accept() -> Answer:
    """Write the suggested genre into some tracks, as chosen by the user."""
    records = _named(_body({"ids"}))
    session = app_context().session
    guesses: dict[str, list[str]] = {}
    unheard: list[str] = []
    for record in records:
        guess = views.best_guess(session, record)
        (unheard if guess is None else guesses.setdefault(guess, [])).append(record.path)
    if not guesses:
        abort(400, "these tracks have no suggested genre to accept")

    def work(run: int) -> Iterator[Result]:
        yield from (Result(path=path, status="skipped", reason="it has no suggested genre") for path in unheard)
        for guess, paths in guesses.items():
            yield from set_genres(session, run, paths, [guess])

    return _told(app_context().tasks.carry_out(["accept", counted(len(records) - len(unheard), "file")], work))


@api.post("/runs/<int(max=2147483647):run>/undo")
def undo_run(run: int) -> Answer:
    """Undo the changes of a run that are not undone yet."""
    session = app_context().session
    changes = changes_of_run(session, run)
    if not changes:
        abort(409, f"run {run} has no changes left to undo")
    return _told(
        app_context().tasks.carry_out(["undo", f"run {run}"], lambda number: undo_changes(session, number, changes))
    )


@api.post("/changes/<int(max=2147483647):change>/undo")
def undo_change(change: int) -> Answer:
    """Undo one change of one file."""
    session = app_context().session
    found = session.store.change(change) or abort(404, f"there is no change {change}")
    if found.state != "done" or found.undone_by is not None:
        abort(409, f"change {change} is already undone, or was never written")
    arguments = ["undo", display_path(found.path)]
    return _told(app_context().tasks.carry_out(arguments, lambda number: undo_changes(session, number, [found])))


@api.get("/tasks/<key>")
def task(key: str) -> Answer:
    """Return the state of a background task."""
    return jsonify(views.as_task(app_context().tasks.find(key) or abort(404, "there is no such task")))


@api.get("/runs")
def runs() -> Answer:
    """Return runs that changed files, newest first."""
    before = query.whole(request.args, "before", default=0, least=0, most=query.LARGEST)
    limit = query.whole(request.args, "limit", default=50, least=1, most=200)
    found = app_context().session.store.changing_runs(before=before or None, limit=limit)
    return jsonify(runs=[views.as_run(*run) for run in found])


@api.get("/runs/<int(max=2147483647):run>")
def one_run(run: int) -> Answer:
    """Return the changes of a run, newest first."""
    before = query.whole(request.args, "before", default=0, least=0, most=query.LARGEST)
    limit = query.whole(request.args, "limit", default=100, least=1, most=500)
    store = app_context().session.store
    if store.run(run) is None:
        abort(404, f"there is no run {run}")
    changes = store.changes(run=run, before=before or None, limit=limit)
    return jsonify(run=run, changes=[views.as_change(change) for change in changes])


@api.get("/overview")
def numbers() -> Answer:
    """Return the library's statistics."""
    return jsonify(app_context().counts.find())


@api.get("/service")
def state() -> Answer:
    """Return what is running."""
    return jsonify(service(app_context().session, app_context().counts))


def _told(task: Task) -> Answer:
    return jsonify(views.as_task(task)), 202 if task.state == "running" else 200


def _body(words: set[str]) -> dict[str, Any]:
    """Return the JSON object of a request, which must have exactly these keys."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # deeply nested brackets
        body = None
    if not isinstance(body, dict) or set(body) != keys:
        abort(400, f"the body must be a JSON object with {' and '.join(sorted(keys))}")
    return body


def _texts(body: dict[str, Any], key: str, *, least: int, most: int) -> list[str]:
    found = body[key]
    if not (isinstance(found, list) and least <= len(found) <= most and all(isinstance(item, str) for item in found)):
        abort(400, f"{key} must be a list of {least} to {most} strings")
    return found


def _named(body: dict[str, Any]) -> list[FileRecord]:
    return tracks(_texts(body, "ids", least=1, most=MOST_IDS)) or abort(404, "no such tracks in the library")
