"""The API's description (OpenAPI 3.1); a test checks the running server's responses against it."""

from __future__ import annotations

from typing import Any

from genrify_tagger import __version__
from genrify_tagger.store import ORDERS
from genrify_tagger.web import audit_list, query
from genrify_tagger.web.schemas import SCHEMAS

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}


def document(base_path: str = "") -> Json:
    """Return the description of the API below a base path."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Genrify Tagger",
            "version": __version__,
            "description": "The API behind the local page. Requests that change something need the header X-Genrify "
            "(any value). If a token is set, send it as a bearer token. Status 202 means: not finished; ask again.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": base_path or "/"}],
        "security": [{}, {"token": []}, {"cookie": []}],
        "paths": _library()
        | _writes()
        | _jobs()
        | _tasks_and_login()
        | _uploads()
        | _media("tracks")
        | _media("uploads"),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "genrify"},
            },
            "responses": {"Error": _content("The request failed; `error` says why.", _ref("Error"))},
        },
    }


def _library() -> Json:
    return {
        "/api/tracks": {
            "get": _operation(
                "listTracks",
                "A page of the library, filtered and sorted; pages follow from the track before or after them.",
                _ref("TrackPage"),
                _query("q", _TEXT, "words that all occur in path, title, artist or album"),
                _query("genre", _TEXT, f"a genre in the file; {query.NO_GENRE_PARAM} for none"),
                _query("status", {"type": "string", "enum": list(query.LISTED_STATUSES)}, "outcome for the file"),
                _query("low", _SHARE, "lowest confidence"),
                _query("high", _SHARE, "highest confidence"),
                _query("folder", _TEXT, "an absolute path: files below it"),
                _query("format", {"type": "string", "enum": list(query.FORMATS)}, "kind of file"),
                _query("order", {"type": "string", "enum": list(ORDERS)}, "sort by"),
                _query("desc", {"type": "string", "enum": ["0", "1"]}, "largest first"),
                _query("after", _TEXT, "start the page after the track with this id"),
                _query("before", _TEXT, "end the page before the track with this id"),
                _query("limit", {"type": "integer", "minimum": 1, "maximum": query.MAX_PER_PAGE}, "tracks per page"),
            )
        },
        "/api/rows": {
            "get": _operation(
                "rows",
                "The rows of some tracks of the library.",
                _ref("Rows"),
                _query("id", {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 200}, "tracks", needed=True),
            )
        },
        "/api/tracks/{id}": {
            "parameters": [_path("id", _TEXT)],
            "get": _operation("getTrack", "Everything known about a track.", _ref("TrackSong"), 404, 422, 503),
        },
        "/api/genres": {"get": _operation("genres", "The genres to choose from.", _ref("Genres"))},
        "/api/overview": {"get": _operation("overview", "Statistics of the library.", _ref("Overview"))},
        "/api/service": {
            "get": _operation("service", "What is running: the background service, the last run.", _ref("Service"))
        },
        "/api/runs": {
            "get": _operation(
                "runs",
                "Runs that changed files, newest first.",
                _ref("Runs"),
                _query("before", {"type": "integer", "minimum": 0}, "only runs older than this one"),
                _query("limit", {"type": "integer", "minimum": 1, "maximum": 200}, "maximum number"),
            )
        },
        "/api/runs/{run}": {
            "parameters": [_path("run", {"type": "integer", "minimum": 0})],
            "get": _operation(
                "getRun",
                "The changes of a run, newest first.",
                _ref("Changes"),
                _query("before", {"type": "integer", "minimum": 0}, "only changes older than this one"),
                _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}, "maximum number"),
                404,
            ),
        },
    }


def _writes() -> Json:
    number: Json = {"type": "integer", "minimum": 0}
    return {
        "/api/genres": _library()["/api/genres"]
        | {"post": _change("setGenres", "Write genres into tracks; an empty list removes the genre.", "GenreChoice")},
        "/api/accept": {"post": _change("acceptSuggestions", "Write the suggested genres into tracks.", "TrackChoice")},
        "/api/keep": {
            "post": _change(
                "keepGenres", "Let the genres of tracks count as set by hand; no file changes.", "TrackChoice"
            )
        },
        "/api/runs/{run}/undo": {
            "parameters": [_path("run", number)],
            "post": _change("undoRun", "Undo the changes of a run.", None, 409),
        },
        "/api/changes/{change}/undo": {
            "parameters": [_path("change", number)],
            "post": _change("undoChange", "Undo one change of one file.", None, 409),
        },
    }


def _jobs() -> Json:
    """Return the paths of what is computed over the whole library."""
    most = audit_list.MOST_SONGS // audit_list.PER_PAGE
    return {
        "/api/audit": {
            "get": _operation(
                "audit",
                "The state of the audit, and the songs that the last one found and that are not decided yet, the most "
                "surprising first.",
                _ref("Audit"),
                _query("page", {"type": "integer", "minimum": 1, "maximum": most}, "number of the page"),
            ),
            "post": _operation("startAudit", "Start an audit.", _ref("Job"), _header(), 403, status=202),
        },
        "/api/learn": {
            "get": _operation(
                "learning", "The state of learning, what came of it, and whether it is in use.", _ref("Learning")
            ),
            "post": _operation(
                "startLearning", "Learn from the library's own genres.", _ref("Job"), _header(), 403, status=202
            ),
        },
    }


def _tasks_and_login() -> Json:
    login = _operation("login", "Log in with the token; the response sets a cookie.", _ref("Ok"), _header(), 401, 403)
    return {
        "/api/tasks/{id}": {
            "parameters": [_path("id", _TEXT)],
            "get": _operation("task", "The progress of a change of files.", _ref("Task"), 404),
        },
        "/api/login": {"post": {**login, "requestBody": _json_body("Login"), "security": [{}]}},
        "/api/logout": {"post": _operation("logout", "Log out: delete the cookie.", _ref("Ok"), _header(), 403)},
        "/api/openapi.json": {"get": _operation("openapi", "This description.", {"type": "object"})},
    }


def _uploads() -> Json:
    binary: Json = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    receive = _operation(
        "upload",
        "Receive a song and start its analysis. It is removed after a while.",
        _ref("Upload"),
        _header(),
        {"name": "X-File-Name", "in": "header", "required": True, "schema": _TEXT, "description": "percent-encoded"},
        *(403, 411, 413, 415, 507),
        status=201,
    )
    remove = _operation("removeUpload", "Remove an upload at once.", _ref("Ok"), _header(), 403, 404)
    return {
        "/api/uploads": {
            "post": {**receive, "requestBody": {"required": True, "content": binary}},
            "get": _operation(
                "uploads",
                "Uploads, and the results of their analysis.",
                _ref("Uploads"),
                _query("id", {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 200}, "uploads", needed=True),
            ),
        },
        "/api/uploads/{id}": {
            "parameters": [_path("id", _TEXT)],
            "get": _operation("getUpload", "An upload, and the result of its analysis.", _ref("Upload"), 404),
            "delete": remove,
        },
        "/api/uploads/{id}/tagged": {
            "parameters": [_path("id", _TEXT)],
            "get": _file(
                "taggedCopy",
                "A copy of the file with the given genres, by default the decided ones.",
                "application/octet-stream",
                _query("genre", {"type": "array", "items": _TEXT, "maxItems": 10}, "genres to write"),
                *(409, 422),
            ),
        },
    }


def _media(kind: str) -> Json:
    """Return the paths of audio, pictures and similar songs, for tracks of the library or for uploads."""
    of = {"parameters": [_path("id", _TEXT)]}
    version = _query("version", _TEXT, "version of the file, as in the response that gave this address")
    name = kind.rstrip("s").capitalize()
    return {
        f"/api/{kind}/{{id}}/audio": of | {"get": _file(f"audioOf{name}", "The file as it is.", "audio/*")},
        f"/api/{kind}/{{id}}/sound": of
        | {
            "get": _operation(
                f"soundOf{name}",
                "The address of audio that browsers can play; if necessary, the song is converted first.",
                _ref("Sound"),
                _query("converted", _TEXT, "convert the song in any case"),
                *(202, 404, 422),
            )
        },
        f"/api/{kind}/{{id}}/opus": of
        | {"get": _file(f"opusOf{name}", "The song as Opus in WebM.", "audio/webm", version)},
        f"/api/{kind}/{{id}}/picture": of
        | {"get": _operation(f"pictureOf{name}", "Waveform and spectrogram.", _ref("Picture"), 202, 404, 422)},
        f"/api/{kind}/{{id}}/mel.png": of
        | {"get": _file(f"melOf{name}", "The mel spectrogram.", "image/png", version)},
        f"/api/{kind}/{{id}}/cover": of
        | {"get": _operation(f"coverOf{name}", "The address of the embedded picture.", _ref("Cover"), 202, 404, 422)},
        f"/api/{kind}/{{id}}/cover.jpg": of
        | {"get": _file(f"coverJpegOf{name}", "The embedded picture, scaled down.", "image/jpeg", version)},
        f"/api/{kind}/{{id}}/similar": of
        | {
            "get": _operation(
                f"similarTo{name}",
                "The tracks of the library that sound most like it.",
                _ref("Similar"),
                _query("count", {"type": "integer", "minimum": 1, "maximum": 100}, "maximum number"),
                *(404, 409, 422, 503),
            )
        },
    }


def _operation(key: str, summary: str, schema: Json, *more: Json | int, status: int = 200) -> Json:
    """Return an operation; `more` are its parameters and the error statuses besides 400 and 401."""
    answers: Json = {str(status): _content(summary, schema)}
    for code in (400, 401, *(item for item in more if isinstance(item, int))):
        answers[str(code)] = (
            _content("Not finished.", {"type": "object"}) if code == 202 else {"$ref": "#/components/responses/Error"}
        )
    parameters = [item for item in more if isinstance(item, dict)]
    return {"operationId": key, "summary": summary, "parameters": parameters, "responses": answers}


def _change(key: str, summary: str, body: str | None, *errors: int) -> Json:
    operation = _operation(key, summary, _ref("Task"), _header(), 403, 404, *errors)
    operation["responses"]["202"] = _content("In progress; poll the task.", _ref("Task"))
    return operation if body is None else {**operation, "requestBody": _json_body(body)}


def _file(key: str, summary: str, media_type: str, *more: Json | int) -> Json:
    operation = _operation(key, summary, {}, *more, 404, 422)
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    operation["responses"]["200"] = {"description": summary, "content": content}
    operation["responses"]["206"] = {"description": "The requested range.", "content": content}
    operation["responses"]["416"] = {"description": "There is no such range."}
    return operation


def _content(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _json_body(name: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": _ref(name)}}}


def _query(name: str, schema: Json, description: str, *, needed: bool = False) -> Json:
    return {"name": name, "in": "query", "required": needed, "schema": schema, "description": description}


def _path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _header() -> Json:
    return {"name": "X-Genrify", "in": "header", "required": True, "schema": _TEXT, "description": "any value"}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
