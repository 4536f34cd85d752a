"""Files, songs, runs and changes as JSON; schemas.py describes the same shapes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import request

from genrify_tagger.decision import Decision
from genrify_tagger.files import display_path, real_path
from genrify_tagger.learn.contradictions import Contradiction
from genrify_tagger.pipeline import Neighbour, Result, Session, TrackReport, container_name, describe_nodes
from genrify_tagger.store import ChangeRecord, FileRecord, RunKind, RunRecord, Store
from genrify_tagger.web.audit_list import PER_PAGE, AuditList, undecided_songs
from genrify_tagger.web.ids import track_id
from genrify_tagger.web.library_stats import threshold_of
from genrify_tagger.web.tasks import Task
from genrify_tagger.web.uploads import Upload

Json = dict[str, Any]

#: Undoing a redo is offered once only: at the writes, which stand again. Runs of beets are undone in beets.
UNDOABLE = ("write", "undo")
BEETS_UNDO = "beet genrify --undo"
BEETS_FORCE = "beet genrify --force"

_CONFIDENCE_PHRASES = (
    (0.9, "very sure"),
    (0.75, "quite sure"),
    (0.5, "more likely than not"),
    (0.0, "a guess at best"),
)
_NEAR_THRESHOLD = 0.1  # below the threshold
_TERMINAL_HINT = "; --force writes again"  # means something in a terminal only


def describe_confidence(confidence: float | None, threshold: float) -> str:
    """Return a confidence in words; one below the threshold, which is not written, is never called sure."""
    if confidence is None:
        return "not analysed"
    if not confidence:
        return "silence"
    if confidence < threshold and confidence >= max(threshold - _NEAR_THRESHOLD, 0.5):
        return "almost sure enough"
    return next(
        words
        for least, words in _CONFIDENCE_PHRASES
        if confidence >= least and (least <= 0.5 or confidence >= threshold)
    )


def suggested_genre(session: Session, record: FileRecord) -> str | None:
    """Return the genre that accepting would write: the decided or likeliest one, whatever its confidence."""
    return record.genres[0] if record.genres else session.active.guess(record.scores, record.confidence)


def file_name(path: str) -> tuple[str, str]:
    """Return a file's name and folder for display."""
    return display_path(os.path.basename(path)), display_path(os.path.dirname(path))


def track_json(session: Session, record: FileRecord) -> Json:
    """Return a row of the library."""
    name, folder = file_name(record.path)
    return {
        "id": track_id(record.path),
        "name": name,
        "folder": folder,
        "title": record.title or None,
        "artist": record.artist or None,
        "album": record.album or None,
        "status": "missing" if record.missing_since else record.status,
        "reason": record.error or (record.reason and record.reason.removesuffix(_TERMINAL_HINT)),
        "genres": list(record.after),
        "guess": suggested_genre(session, record),
        "confidence": record.confidence,
        "confidence_words": describe_confidence(record.confidence, threshold_of(session)),
        "scores": _scores_json(session, record.scores),
        "duration": record.duration,
        "seen_at": record.seen_at.isoformat(),
    }


def song_json(session: Session, track_report: TrackReport, titles: Mapping[str, str], *, key: str, at: str) -> Json:
    """Return a song's full report with its timeline; `at` is its address under /api."""
    decision, identity = track_report.decision, track_report.identity
    name, folder = file_name(track_report.path)
    return {
        "id": key,
        "name": name,
        "folder": folder,
        "title": titles.get("title"),
        "artist": titles.get("artist"),
        "album": titles.get("album"),
        "in_file": list(track_report.snapshot.genres),
        "genres": [session.words.written_name(label) for label in decision.genres],
        "guess": session.active.guess(decision.scores, decision.confidence),
        "confidence": decision.confidence,
        "confidence_words": describe_confidence(decision.confidence, threshold_of(session)),
        "reason": decision.reason,
        "tree": _tree_text(session, decision),
        "evidence": dict(track_report.evidence),
        "explanation": track_report.explanation,
        "scores": _scores_json(session, decision.scores),
        "timeline": [
            {
                "start": round(float(start), 2),
                "end": round(float(end), 2),
                "score": score,
                **_likeliest(session, label),
            }
            for (start, end), (label, score) in zip(track_report.analysis.intervals, track_report.timeline, strict=True)
        ],
        "vocabulary": session.active.vocabulary.name,
        "model": session.sidecar.id,
        "container": container_name(identity.container),
        "duration": identity.duration,
        "taggable": bool(track_report.snapshot.container),
        "sound": f"{at}/sound",
        "picture": f"{at}/picture",
        "cover": f"{at}/cover",
        "similar": f"{at}/similar",
    }


def _likeliest(session: Session, label: str | None) -> Json:
    """Return the label and name of a segment's genre: that of the vocabulary, if it has a genre of this name."""
    if label is None:
        return {"label": None, "name": None}
    name = session.words.written_name(label)
    return {"label": session.active.label_of(name) or label, "name": name}


def _tree_text(session: Session, decision: Decision) -> str | None:
    """Return how likely the nodes of the tree are and which is written; None without a tree, or for silence."""
    written = session.words.names_to_write(decision.genres)
    return describe_nodes(session.active.named_nodes(decision), written) if decision.nodes else None


def upload_json(session: Session, upload: Upload) -> Json:
    """Return an upload and, once it is analysed, its report."""
    song = None
    if upload.track_report is not None:
        at = f"{request.script_root}/api/uploads/{upload.id}"
        song = song_json(session, upload.track_report, upload.titles, key=upload.id, at=at)
        song |= {"name": upload.name, "folder": ""}
    return {"id": upload.id, "name": upload.name, "state": upload.state, "error": upload.error, "song": song}


def similar_json(session: Session, neighbour: Neighbour) -> Json:
    """Return a similar track and its similarity."""
    return {"similarity": round(neighbour.similarity, 4), "track": track_json(session, neighbour.record)}


def task_json(session: Session, task: Task) -> Json:
    """Return a background task, running or done; titles of the songs only once it is done."""
    known = {} if task.state == "running" else session.store.files({result.path for result in task.results})
    return {
        "id": task.id,
        "state": task.state,
        "run": task.run,
        "changed": task.counts["tagged"],
        "kept": task.counts["kept"],
        "skipped": task.counts["skipped"],
        "failed": task.counts["failed"],
        "error": task.error,
        "results": [_result_json(result, known.get(result.path)) for result in task.results],
    }


def _result_json(result: Result, record: FileRecord | None) -> Json:
    return {
        "id": track_id(real_path(result.path)),
        "name": file_name(result.path)[0],
        "title": (record.title if record else None) or None,
        "status": result.status,
        "before": list(result.before),
        "after": list(result.after),
        "error": result.error,
    }


def runs_json(store: Store, runs: Sequence[tuple[RunRecord, int, int]]) -> list[Json]:
    """Return runs with the number of their changes and how many of them are undone."""
    kinds = store.run_kinds([record.id for record, _, _ in runs])
    return [_run_json(record, made, undone, kinds.get(record.id, "write")) for record, made, undone in runs]


def _run_json(record: RunRecord, made: int, undone: int, kind: RunKind) -> Json:
    return {
        "run": record.id,
        "command": record.command,
        "arguments": [display_path(argument) for argument in record.arguments],
        "status": record.status,
        "started_at": record.started_at.isoformat(),
        "finished_at": record.finished_at and record.finished_at.isoformat(),
        "changed": made,
        "undone": undone,
        "kind": kind,
        "can_undo": undone < made and kind in UNDOABLE,
        "undo_in_beets": undone < made and kind == "beets",
    }


def changes_json(session: Session, changes: Iterable[ChangeRecord]) -> list[Json]:
    """Return changes with the titles of their songs."""
    shown = list(changes)
    kinds = session.store.run_kinds({change.run for change in shown})
    records = session.store.files({change.path for change in shown})
    return [_change_json(change, kinds.get(change.run, "write"), records.get(change.path)) for change in shown]


def _change_json(change: ChangeRecord, kind: RunKind, record: FileRecord | None) -> Json:
    name, folder = file_name(change.path)
    return {
        "id": change.id,
        "run": change.run,
        "track": track_id(change.path),
        "name": name,
        "folder": folder,
        "title": (record.title if record else None) or None,
        "origin": change.origin,
        "state": change.state,
        "before": list(change.before_genres or ()),
        "after": list(change.after_genres or ()),
        "kind": kind,
        "undone": change.undone_by is not None,
        "can_undo": change.state == "done" and change.undone_by is None and kind in UNDOABLE,
        "error": change.error,
        "at": change.created_at.isoformat(),
    }


def audit_json(session: Session, audit: AuditList | None, page: int) -> Json:
    """Return a page of the songs that are undecided still; empty without an audit."""
    audit = audit or AuditList((), 0, session.store.library_version())
    rows = undecided_songs(session, audit)
    shown = rows[(page - 1) * PER_PAGE : page * PER_PAGE]
    return {
        "stale": session.store.library_version() != audit.library,
        "found": audit.total,
        "undecided": len(rows),
        "page": page,
        "pages": -(-len(rows) // PER_PAGE),
        "songs": [_audit_song_json(session, one, files) for one, files in shown],
    }


def _audit_song_json(session: Session, one: Contradiction, files: list[FileRecord]) -> Json:
    shown = next((record for record in files if record.path == one.path), files[0])
    tracks = [track_json(session, record) for record in (shown, *(file for file in files if file is not shown))]
    return {
        "track": tracks[0],
        "ids": [track["id"] for track in tracks],
        "expected": one.expected,
        "odds": one.odds,
        "log_odds": round(one.log_odds, 4),
    }


def _scores_json(session: Session, scores: Mapping[str, float]) -> list[Json]:
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    return [
        {
            "label": label,
            "name": session.words.written_name(label),
            "path": session.active.written_path(label),
            "score": score,
        }
        for label, score in ranked
    ]
