"""Everything that is known of one file, without changing it: for `show` and for pages that look at a song."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from genrify_tagger import tags
from genrify_tagger.analysis import Analysis
from genrify_tagger.decision import SILENCE, Decision
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline.process_file import Identity, decide_genres, find_or_analyse, identify
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import ChangeRecord, FileRecord
from genrify_tagger.tags import Snapshot


@dataclass(frozen=True, eq=False)
class TrackReport:
    """One song as seen from all sides.

    Attributes
    ----------
    path : str
        The file.
    snapshot : Snapshot
        The genre in the file now.
    identity : Identity
        Audio key, container, seconds of audio.
    analysis : Analysis
        What the network heard, segment by segment.
    cached : bool
        Whether the analysis was remembered.
    decision : Decision
        What that means under the session's settings.
    timeline : tuple of (label, score) pairs, one a segment
        The likeliest label of each segment by itself; None and 0 for a silent one.
    record : FileRecord or None
        What the last scan remembered.
    changes : tuple of ChangeRecord
        The journal's entries, newest first.
    """

    path: str
    snapshot: Snapshot
    identity: Identity
    analysis: Analysis
    cached: bool
    decision: Decision
    timeline: tuple[tuple[str | None, float], ...]
    record: FileRecord | None
    changes: tuple[ChangeRecord, ...]


def inspect_file(session: Session, path: str) -> TrackReport:
    """Look at one file from all sides; it is listened to if it never was.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read or listened to.
    """
    stat = file_stat(path)
    target = os.path.realpath(path)
    record = session.store.files([target]).get(target)
    snapshot = tags.read(path, field=session.settings.tagging.field)
    identity = identify(session, path, stat, record)
    analysis, cached = find_or_analyse(session, path, identity)
    track_report = build_report(session, path, snapshot, identity, analysis, cached=cached)
    return replace(track_report, record=record, changes=tuple(session.store.changes(path=target)))


def build_report(
    session: Session, path: str, snapshot: Snapshot, identity: Identity, analysis: Analysis, *, cached: bool
) -> TrackReport:
    """Put together what a song is heard to be; what the store knows of the file is not in it."""
    return TrackReport(
        path=path,
        snapshot=snapshot,
        identity=identity,
        analysis=analysis,
        cached=cached,
        decision=decide_genres(session, analysis),
        timeline=_timeline(session, analysis),
        record=None,
        changes=(),
    )


def _timeline(session: Session, analysis: Analysis) -> tuple[tuple[str | None, float], ...]:
    """Return the likeliest label of each segment by itself, with its score; None and 0 for a silent one."""
    activations = analysis.outputs[session.vocabulary.output]
    labels = session.vocabulary.labels
    return tuple(
        (labels[row.argmax()], float(row.max())) if level > SILENCE else (None, 0.0)
        for row, level in zip(activations, analysis.levels, strict=True)
    )
