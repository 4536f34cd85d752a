"""Songs that do not belong to the library: heard, shown and forgotten; what is tagged is a copy."""

from __future__ import annotations

from genrify_tagger import tags
from genrify_tagger.errors import NotTaggableError
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline.manual import written_form
from genrify_tagger.pipeline.process_file import find_or_analyse, identify
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.track_report import TrackReport, build_report
from genrify_tagger.tags import Snapshot

NO_TAGS = Snapshot("", (), None)  # of a file whose container has no place for a genre


def analyse_one_off(session: Session, path: str) -> TrackReport:
    """Listen to a song and keep nothing of it in the store.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read or listened to.
    """
    try:
        snapshot = tags.read(path, field=session.settings.tagging.field)
    except NotTaggableError:
        snapshot = NO_TAGS
    identity = identify(session, path, file_stat(path), None)
    analysis, cached = find_or_analyse(session, path, identity, remember=False)
    return build_report(session, path, snapshot, identity, analysis, cached=cached)


def tag_copy(session: Session, path: str, genres: tuple[str, ...]) -> None:
    """Write genres into a copy of somebody's file; the journal knows nothing of it.

    Raises
    ------
    GenrifyError, OSError
        If that is not possible; the copy is as it was.
    """
    names = tuple(written_form(session, genre) for genre in genres)
    plan = tags.plan_write(path, names, field=session.settings.tagging.field)
    if plan.changes:
        key = session.workers.audio_key(path)
        tags.apply(plan, audio_key=session.workers.audio_key, expected_key=key, ownership="best-effort")
