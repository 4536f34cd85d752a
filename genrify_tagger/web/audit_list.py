"""The audit's list as the page shows it: kept in memory, without the songs that were decided since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from genrify_tagger.learn.contradictions import Contradiction, find_contradictions
from genrify_tagger.pipeline import Session
from genrify_tagger.pipeline.manual import REASON as SET_BY_HAND
from genrify_tagger.store import FileRecord

MOST_SONGS = 1000  # the most surprising ones; the next audit finds the others
PER_PAGE = 50


@dataclass(frozen=True)
class AuditList:
    """What an audit found, the most surprising first, how many it found in all, and in which state of the library."""

    found: tuple[Contradiction, ...]
    total: int
    library: object


def make_audit_list(session: Session, on_step: Callable[[str], None]) -> AuditList:
    """Audit the whole library."""
    library = session.store.library_version()
    found = find_contradictions(session, on_step=on_step)
    return AuditList(tuple(found[:MOST_SONGS]), len(found), library)


def undecided_songs(session: Session, audit: AuditList) -> list[tuple[Contradiction, list[FileRecord]]]:
    """Return the songs whose genre is neither changed nor set by hand since, with their files that have it."""
    files = defaultdict(list)
    for record in session.store.files_of_songs([one.audio_key for one in audit.found]):
        files[record.audio_key].append(record)
    rows = []
    for one in audit.found:
        same = [record for record in files[one.audio_key] if record.after == one.genres]
        if same and not any(record.reason == SET_BY_HAND for record in files[one.audio_key]):
            rows.append((one, same))
    return rows
