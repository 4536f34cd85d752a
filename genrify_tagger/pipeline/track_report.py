"""Everything known about one file, without changing it: for `show` and for the page."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from genrify_tagger import tags
from genrify_tagger.analysis import SILENCE, Analysis
from genrify_tagger.decision import Decision
from genrify_tagger.errors import NotTaggableError
from genrify_tagger.files import file_stat, real_path
from genrify_tagger.genre_spelling import spelling
from genrify_tagger.pipeline.analyse_file import Identity, analyse_file, identify, titles_of
from genrify_tagger.pipeline.library_evidence import Evidence, explanation
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import ChangeRecord, FileRecord
from genrify_tagger.tags import Snapshot

_NO_TAGS = Snapshot("", (), None)  # for a file whose container cannot hold a genre


@dataclass(frozen=True, eq=False)
class TrackReport:
    """What is known about one file.

    Attributes
    ----------
    path : str
        The file.
    snapshot : Snapshot
        The genre in the file now.
    identity : Identity
        Audio key, container, seconds of audio.
    analysis : Analysis
        The network's output, segment by segment.
    cached : bool
        Whether the analysis came from the store.
    decision : Decision
        The decision by the session's settings.
    timeline : tuple of (label, score) pairs, one a segment
        The likeliest label of each segment on its own; None and 0 for a silent one.
    record : FileRecord or None
        The record of the last scan.
    changes : tuple of ChangeRecord
        The journal's entries, newest first.
    evidence : mapping
        With a vocabulary learned from the library: why; see `library_evidence`.
    """

    path: str
    snapshot: Snapshot
    identity: Identity
    analysis: Analysis
    cached: bool
    decision: Decision
    timeline: tuple[tuple[str | None, float], ...]
    record: FileRecord | None = None
    changes: tuple[ChangeRecord, ...] = ()
    evidence: Evidence = field(default_factory=dict)

    @property
    def explanation(self) -> str | None:
        """The evidence as a sentence; None if there is none."""
        if not self.evidence:
            return None
        decided, present = (
            {spelling(genre) for genre in names} for names in (self.decision.genres, self.snapshot.genres)
        )
        outcome = "not written" if not decided else "written" if decided <= present else "could be written"
        return explanation(self.evidence, self.decision.confidence, outcome=outcome)


def inspect_file(session: Session, path: str) -> TrackReport:
    """Report on one file of the library, analysing it if necessary.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read or analysed.
    """
    target = real_path(path)
    record = session.store.files([target]).get(target)
    snapshot = tags.read(path, field=session.settings.tagging.field)
    report = _report(session, path, snapshot, record=record)
    known_at = session.moves.follow(target, report.identity.audio_key, dry_run=True)
    record = record or session.store.files([known_at]).get(known_at)
    return replace(report, record=record, changes=tuple(session.store.changes(path=known_at)))


def inspect_one_off(session: Session, path: str) -> TrackReport:
    """Report on a file that does not belong to the library; nothing is stored.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read or analysed.
    """
    try:
        snapshot = tags.read(path, field=session.settings.tagging.field)
    except NotTaggableError:
        snapshot = _NO_TAGS
    return _report(session, path, snapshot, remember=False)


def _report(
    session: Session,
    path: str,
    snapshot: Snapshot,
    *,
    record: FileRecord | None = None,
    remember: bool = True,
) -> TrackReport:
    stat = file_stat(path)
    identity = identify(session, path, stat, record)
    titles = None if session.active.learned is None else titles_of(session, path, stat, record)
    analysed = analyse_file(session, path, identity, titles, remember=remember)
    return TrackReport(
        path=path,
        snapshot=snapshot,
        identity=identity,
        analysis=analysed.analysis,
        cached=analysed.cached,
        decision=analysed.decision,
        evidence=analysed.evidence,
        timeline=_timeline(session, analysed.analysis),
        record=record,
    )


def _timeline(session: Session, analysis: Analysis) -> tuple[tuple[str | None, float], ...]:
    """Return the likeliest label of each segment on its own, with its score; None and 0 for a silent one."""
    activations = analysis.outputs[session.active.sound.output]
    labels = session.active.sound.labels
    return tuple(
        (labels[row.argmax()], float(row.max())) if level > SILENCE else (None, 0.0)
        for row, level in zip(activations, analysis.levels, strict=True)
    )
