"""JSON Schemas of the API's requests and responses; views.py makes the latter."""

from __future__ import annotations

from typing import Any

from genrify_tagger.web.query import LISTED_STATUSES

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}
_NULLABLE_TEXT: Json = {"type": ["string", "null"]}
_NUMBER: Json = {"type": "number"}
_NULLABLE_NUMBER: Json = {"type": ["number", "null"]}
_COUNT: Json = {"type": "integer", "minimum": 0}
_NULLABLE_COUNT: Json = {"type": ["integer", "null"], "minimum": 0}
_FLAG: Json = {"type": "boolean"}
_RUN_KIND: Json = {"type": "string", "enum": ["write", "undo", "redo", "beets", "beets_undo"]}
_COUNTS: Json = {"type": "object", "additionalProperties": _COUNT}


def _object(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(item: Json, **more: int) -> Json:
    return {"type": "array", "items": item, **more}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_IDS = _list(_TEXT, minItems=1, maxItems=500)
_LABEL = {"label": _TEXT, "name": _TEXT, "path": _TEXT}
_SONG: Json = {
    "id": _TEXT,
    "name": _TEXT,
    "folder": _TEXT,
    "title": _NULLABLE_TEXT,
    "artist": _NULLABLE_TEXT,
    "album": _NULLABLE_TEXT,
    "in_file": _list(_TEXT),
    "genres": _list(_TEXT),
    "guess": _NULLABLE_TEXT,
    "confidence": _NUMBER,
    "confidence_words": _TEXT,
    "reason": _NULLABLE_TEXT,
    "tree": _NULLABLE_TEXT,
    "evidence": {"type": "object", "additionalProperties": _list({"type": "object"})},
    "explanation": _NULLABLE_TEXT,
    "scores": _list(_ref("Score")),
    "timeline": _list(_ref("Segment")),
    "vocabulary": _TEXT,
    "model": _TEXT,
    "container": _NULLABLE_TEXT,
    "duration": _NUMBER,
    "taggable": _FLAG,
    "sound": _TEXT,
    "picture": _TEXT,
    "cover": _TEXT,
    "similar": _TEXT,
}

_JOB: Json = {
    "state": {"type": "string", "enum": ["none", "running", "done", "failed"]},
    "step": _NULLABLE_TEXT,
    "seconds": _NUMBER,
    "error": _NULLABLE_TEXT,
}
_SURENESS = _object(sure=_COUNT, unsure=_COUNT)

SCHEMAS: Json = {
    "Error": _object(error=_TEXT),
    "Ok": _object(ok={"const": True}),
    "Login": _object(token=_TEXT),
    "Score": _object(**_LABEL, score=_NUMBER),
    "Segment": _object(start=_NUMBER, end=_NUMBER, label=_NULLABLE_TEXT, name=_NULLABLE_TEXT, score=_NUMBER),
    "Rows": _object(tracks=_list(_ref("Track"))),
    "Track": _object(
        id=_TEXT,
        name=_TEXT,
        folder=_TEXT,
        title=_NULLABLE_TEXT,
        artist=_NULLABLE_TEXT,
        album=_NULLABLE_TEXT,
        status={"type": "string", "enum": list(LISTED_STATUSES)},
        reason=_NULLABLE_TEXT,
        genres=_list(_TEXT),
        guess=_NULLABLE_TEXT,
        confidence=_NULLABLE_NUMBER,
        confidence_words=_TEXT,
        scores=_list(_ref("Score")),
        duration=_NULLABLE_NUMBER,
        seen_at=_TEXT,
    ),
    "TrackPage": _object(total=_COUNT, tracks=_list(_ref("Track")), before=_NULLABLE_TEXT, after=_NULLABLE_TEXT),
    "Song": _object(**_SONG),
    "TrackSong": _object(**_SONG, track=_ref("Track"), changes=_list(_ref("Change"))),
    "Genres": _object(genres=_list(_object(**_LABEL))),
    "TrackChoice": _object(ids=_IDS),
    "GenreChoice": _object(ids=_IDS, genres=_list(_TEXT, minItems=0, maxItems=10)),
    "Task": _object(
        id=_TEXT,
        state={"type": "string", "enum": ["running", "done", "failed"]},
        run=_NULLABLE_COUNT,
        changed=_COUNT,
        kept=_COUNT,
        skipped=_COUNT,
        failed=_COUNT,
        error=_NULLABLE_TEXT,
        results=_list(
            _object(
                id=_TEXT,
                name=_TEXT,
                title=_NULLABLE_TEXT,
                status=_TEXT,
                before=_list(_TEXT),
                after=_list(_TEXT),
                error=_NULLABLE_TEXT,
            )
        ),
    ),
    "Job": _object(**_JOB),
    "Audit": _object(
        **_JOB,
        stale=_FLAG,
        found=_COUNT,
        undecided=_COUNT,
        page=_COUNT,
        pages=_COUNT,
        songs=_list(
            _object(track=_ref("Track"), ids=_list(_TEXT, minItems=1), expected=_TEXT, odds=_TEXT, log_odds=_NUMBER)
        ),
    ),
    "Learning": _object(**_JOB, summary=_NULLABLE_TEXT, in_use={"type": ["boolean", "null"]}),
    "Run": _object(
        run=_COUNT,
        command=_TEXT,
        arguments=_list(_TEXT),
        status=_TEXT,
        started_at=_TEXT,
        finished_at=_NULLABLE_TEXT,
        changed=_COUNT,
        undone=_COUNT,
        kind=_RUN_KIND,
        can_undo=_FLAG,
        undo_in_beets=_FLAG,
    ),
    "Runs": _object(runs=_list(_ref("Run"))),
    "Change": _object(
        id=_COUNT,
        run=_COUNT,
        track=_TEXT,
        name=_TEXT,
        folder=_TEXT,
        title=_NULLABLE_TEXT,
        origin=_TEXT,
        state=_TEXT,
        before=_list(_TEXT),
        after=_list(_TEXT),
        kind=_RUN_KIND,
        undone=_FLAG,
        can_undo=_FLAG,
        error=_NULLABLE_TEXT,
        at=_TEXT,
    ),
    "Changes": _object(run=_COUNT, changes=_list(_ref("Change"))),
    "Overview": _object(
        statuses=_COUNTS,
        unsure_songs=_COUNT,
        genres=_list(_object(name=_TEXT, files=_COUNT)),
        without_genre=_COUNT,
        confidence={"type": "object", "additionalProperties": _list(_COUNT)},
        threshold=_NUMBER,
        sure_then=_SURENESS,
        sure_now=_SURENESS,
        changes=_list(_object(day=_TEXT, by=_COUNTS)),
    ),
    "Service": _object(
        counts=_COUNTS,
        last_run={"type": ["object", "null"]},
        running=_FLAG,
        service={"type": ["object", "null"]},
    ),
    "Upload": _object(
        id=_TEXT,
        name=_TEXT,
        state={"type": "string", "enum": ["waiting", "analysing", "done", "failed"]},
        error=_NULLABLE_TEXT,
        song={"anyOf": [_ref("Song"), {"type": "null"}]},
    ),
    "Uploads": _object(uploads=_list(_ref("Upload"))),
    "Sound": _object(url=_TEXT, type=_TEXT, converted=_FLAG),
    "Cover": _object(url=_NULLABLE_TEXT),
    "Picture": _object(
        duration=_NUMBER,
        peaks=_list({"type": "integer", "minimum": 0, "maximum": 255}),
        levels=_list({"type": "integer", "minimum": 0, "maximum": 255}),
        mel=_TEXT,
    ),
    "Similar": _object(similar=_list(_object(similarity=_NUMBER, track=_ref("Track")))),
}
