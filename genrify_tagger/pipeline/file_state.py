"""The store's record of a file, and whether it is still valid."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.file_task import Outcome, ScanOptions
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord, Sighting


def is_unchanged(session: Session, record: FileRecord | Sighting, stat: FileStat, options: ScanOptions) -> bool:
    """Return whether a file need not be opened: same file, settings and model as last time."""
    if options.force or options.reanalyse or record.stat != stat:
        return False
    if record.status == "failed":
        return has_failed_before(session, record, stat, options)
    if record.title is None:
        return False  # recorded by a version or an entry point that did not read titles
    if record.settings_key == session.active.settings_key:
        return record.model == session.sidecar.id or record.status != "unsure"
    # What an earlier model decided by a vocabulary that the tree has replaced stays, unless it was unsure.
    is_earlier = record.model != session.sidecar.id and record.settings_key in session.active.former_settings_keys
    return is_earlier and record.status != "unsure"


def has_failed_before(session: Session, record: FileRecord | Sighting, stat: FileStat, options: ScanOptions) -> bool:
    """Return whether the same file failed with the same model before, and should not be retried."""
    again = options.force or options.reanalyse or options.retry_failed
    return record.status == "failed" and record.stat == stat and record.model == session.sidecar.id and not again


def record_of(session: Session, target: str, outcome: Outcome, *, stat: FileStat | None) -> FileRecord:
    """Return the record of a file for the store.

    Parameters
    ----------
    session : Session
    target : str
        The file's real path.
    outcome : Outcome
    stat : FileStat or None
        The file's fingerprint; None if the next scan should retry it.
    """
    result, identity = outcome.result, outcome.identity
    titles = {} if outcome.titles is None else asdict(outcome.titles)
    return FileRecord(
        path=target,
        stat=stat,
        audio_key=outcome.audio_key,
        status=result.status,
        reason=result.reason,
        error=result.error,
        genres=result.genres,
        confidence=result.confidence,
        scores=result.scores,
        before=result.before,
        after=result.after,
        vocabulary=session.active.vocabulary.name,
        model=session.sidecar.id,
        settings_key=session.active.settings_key,
        duration=result.duration,
        container=identity.container if identity else None,
        seen_at=datetime.now(UTC),
        **titles,
    )
