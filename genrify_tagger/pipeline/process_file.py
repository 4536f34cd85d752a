"""One song's whole way: read its genre, recognise it, listen, judge, journal, write, remember."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

from genrify_tagger import tags
from genrify_tagger.analysis import Analysis
from genrify_tagger.decision import Decision, decide
from genrify_tagger.errors import (
    ChangedMeanwhileError,
    DecodeError,
    GenrifyError,
    InterruptedScanError,
    NotTaggableError,
    StoreError,
    TagError,
    WorkerError,
    WorkerStartError,
)
from genrify_tagger.files import FileStat
from genrify_tagger.library import Candidate, is_audio
from genrify_tagger.pipeline.journalled_write import provenance_of, write_journalled
from genrify_tagger.pipeline.previews import Names, names_of
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import decide_write, meaningful
from genrify_tagger.store import FileRecord
from genrify_tagger.tags import Snapshot

# Not among them: what lasts until somebody changes permissions, which would cost a look at every file each time.
_PASSING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENOTCONN),
}


@dataclass(frozen=True)
class ScanOptions:
    """What a scan does beyond the settings.

    Attributes
    ----------
    dry_run : bool
        Write nothing but the analysis cache.
    force : bool
        Write even where a genre of ours was undone, removed or changed since.
    reanalyse : bool
        Listen again to everything, and let that replace what we wrote ourselves.
    retry_failed : bool
        Try files again that failed before and have not changed since.
    origin : str
        Who scans, for the journal.
    settled : bool
        Write only into files that are still exactly as they were found.
    """

    dry_run: bool = False
    force: bool = False
    reanalyse: bool = False
    retry_failed: bool = False
    origin: str = "scan"
    settled: bool = False


@dataclass(frozen=True)
class Identity:
    """Which song a file holds: its audio key, FFmpeg's name of the container, seconds of audio."""

    audio_key: str
    container: str | None
    duration: float


@dataclass(frozen=True)
class Classification:
    """What listening to a song gave, now or earlier (`cached`)."""

    decision: Decision
    genres: tuple[str, ...]
    cached: bool


def process_file(
    session: Session, run: int, item: Candidate, record: FileRecord | None, options: ScanOptions
) -> Result:
    """Take one file the whole way; whatever fails becomes this file's result.

    Parameters
    ----------
    session : Session
        The open run's resources.
    run : int
        Run to book a change on.
    item : Candidate
        The file, as discovered.
    record : FileRecord or None
        What the store remembers of this path.
    options : ScanOptions
        What to do beyond the settings.

    Raises
    ------
    InterruptedScanError
        If the run was stopped before this file was done.
    StoreError
        If the database cannot be used: that is no single file's failure.
    """
    names = cache(lambda: names_of(session, item.path, item.stat, record))
    result, stat, identity = _outcome(session, run, item, record, options, names)
    if result.status == "failed" and tags.stat_or_none(item.path) != item.stat:
        result = replace(result, passing=True)  # it says nothing of a file that was changed or moved meanwhile
    if result.status == "failed" and not is_audio(item.path):
        return replace(result, listed=False)  # somebody named a file that is no song: the library has not one more
    if not options.dry_run:
        # Without a fingerprint it does not count as unchanged: the next look tries it again.
        seen = None if result.passing else stat
        found = _record(session, item.target, result, seen, identity)
        if result.status != "failed":
            title, artist, album = names()
            found = replace(found, title=title, artist=artist, album=album)
        session.store.save_files([found])
    return result


def identify(session: Session, path: str, stat: FileStat, record: FileRecord | None) -> Identity:
    """Recognise the song in a file: from memory if the file is as it was, else by its audio."""
    if record is not None and record.stat == stat and record.audio_key and record.duration is not None:
        return Identity(record.audio_key, record.container, record.duration)
    sound = session.workers.probe(path)
    return Identity(sound.key, sound.container, sound.duration)


def find_or_analyse(
    session: Session, path: str, identity: Identity, *, again: bool = False, remember: bool = True
) -> tuple[Analysis, bool]:
    """Return a song's analysis and whether it came from the store.

    Parameters
    ----------
    session : Session
    path : str
    identity : Identity
    again : bool
        Listen in any case.
    remember : bool
        Whether the store may keep what is heard.
    """
    model, front_end = session.sidecar.id, session.front_end
    if not again:
        stored = session.store.find_analysis(identity.audio_key, model, front_end)
        if stored is not None:
            return stored, True
    fresh = session.workers.analyse(path, duration=identity.duration)
    if remember:
        session.store.save_analysis(identity.audio_key, model, front_end, fresh)
    return fresh, False


def classify(session: Session, path: str, identity: Identity, *, again: bool = False) -> Classification:
    """Hear a song (or remember it) and decide what it is, by the session's settings."""
    analysis, cached = find_or_analyse(session, path, identity, again=again)
    decision = decide_genres(session, analysis)
    return Classification(decision, tuple(session.written_name(label) for label in decision.genres), cached)


def decide_genres(session: Session, analysis: Analysis) -> Decision:
    """Decide what a song is, by the session's vocabulary and settings."""
    tagging = session.settings.tagging
    return decide(
        analysis.outputs,
        analysis.levels,
        session.vocabulary,
        min_confidence=tagging.min_confidence,
        max_genres=tagging.max_genres,
    )


def _outcome(
    session: Session,
    run: int,
    item: Candidate,
    record: FileRecord | None,
    options: ScanOptions,
    names: Callable[[], Names],
) -> tuple[Result, FileStat, Identity | None]:
    identity: Identity | None = None
    try:
        snapshot = tags.read(item.path, field=session.settings.tagging.field)
        silent = _without_listening(session, item, snapshot)
        if silent is not None:
            return silent, item.stat, None
        identity = identify(session, item.path, item.stat, record)
        if exceeds_max_length(session, identity):
            return _left_for_length(session, item, snapshot, identity), item.stat, identity
        if not options.dry_run:
            names()  # now: an interrupt must not come between the write and what is remembered of it
        heard = classify(session, item.path, identity, again=options.reanalyse)
        result, stat = _tag(session, run, item, snapshot, identity, heard, options)
        return result, stat, identity
    except InterruptedScanError:
        raise
    except NotTaggableError as error:
        return Result(path=item.path, status="skipped", reason=error.message), item.stat, None
    except StoreError:
        raise
    except (GenrifyError, OSError) as error:
        return _failure(Result(path=item.path, status="failed"), error), item.stat, identity


def _failure(result: Result, error: GenrifyError | OSError) -> Result:
    """Return a result as failed; what the system refused or another program prevented may work later."""
    cause = error.__cause__ if isinstance(error, TagError) else error
    passing = isinstance(error, (ChangedMeanwhileError, WorkerStartError)) or (
        isinstance(cause, OSError) and cause.errno in _PASSING
    )
    return replace(result, status="failed", error=error_text(error), passing=passing)


def error_text(error: GenrifyError | OSError) -> str:
    """Return what to tell the user of an error, without the path."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _without_listening(session: Session, item: Candidate, snapshot: Snapshot) -> Result | None:
    settings = session.settings
    present = meaningful(snapshot.genres, settings.tagging.treat_as_missing)
    if settings.analysis.existing or settings.tagging.existing != "keep" or not present:
        return None
    genres = snapshot.genres
    return Result(path=item.path, status="kept", reason="has a genre", before=genres, after=genres)


def exceeds_max_length(session: Session, identity: Identity) -> bool:
    """Tell whether a song is longer than the settings allow."""
    return 0 < session.settings.library.max_minutes * 60 < identity.duration


def _left_for_length(session: Session, item: Candidate, snapshot: Snapshot, identity: Identity) -> Result:
    reason = f"longer than {session.settings.library.max_minutes:g} minutes"
    return Result(
        path=item.path,
        status="skipped",
        reason=reason,
        before=snapshot.genres,
        after=snapshot.genres,
        duration=identity.duration,
    )


def _tag(
    session: Session,
    run: int,
    item: Candidate,
    snapshot: Snapshot,
    identity: Identity,
    heard: Classification,
    options: ScanOptions,
) -> tuple[Result, FileStat]:
    field = session.settings.tagging.field
    change = session.store.last_change(item.target, identity.audio_key, field=field)
    verdict = decide_write(
        snapshot.genres,
        heard.decision,
        heard.genres,
        provenance_of(change, snapshot, identity.audio_key),
        session.settings.tagging,
        force=options.force,
        reanalyse=options.reanalyse,
    )
    result = Result(
        path=item.path,
        status=verdict.status,
        reason=verdict.reason,
        genres=heard.genres,
        guess=session.guess(heard.decision.scores, heard.decision.confidence),
        confidence=heard.decision.confidence,
        scores=heard.decision.scores,
        vocabulary=session.vocabulary.name,
        before=snapshot.genres,
        after=verdict.genres if verdict.status == "tagged" else snapshot.genres,
        cached=heard.cached,
        duration=identity.duration,
        model=session.sidecar.id,
    )
    if verdict.status != "tagged":
        return result, item.stat
    plan = tags.plan_write(item.path, verdict.genres, field=field)
    if not tags.same_genre(plan.before.raw, snapshot.raw) or (options.settled and plan.stat != item.stat):
        error = ChangedMeanwhileError("the file was changed by another program, so it was left alone", path=item.path)
        return _failure(replace(result, after=plan.before.genres), error), item.stat
    if not plan.changes:
        return replace(result, status="kept", reason="says so already", after=snapshot.genres), item.stat
    if options.dry_run:
        return result, item.stat
    if session.stop.is_set():
        raise InterruptedScanError("interrupted", path=item.path)
    try:
        return result, write_journalled(session, run, plan, origin=options.origin, audio_key=identity.audio_key)
    except (TagError, WorkerError, DecodeError, OSError) as error:
        return _failure(replace(result, after=snapshot.genres), error), item.stat


def _record(
    session: Session, path: str, result: Result, stat: FileStat | None, identity: Identity | None
) -> FileRecord:
    return FileRecord(
        path=path,
        stat=stat,
        audio_key=identity.audio_key if identity else None,
        status=result.status,
        reason=result.reason,
        error=result.error,
        genres=result.genres,
        confidence=result.confidence,
        scores=result.scores,
        before=result.before,
        after=result.after,
        vocabulary=session.vocabulary.name,
        model=session.sidecar.id,
        settings_key=session.settings_key,
        duration=result.duration,
        container=identity.container if identity else None,
        seen_at=datetime.now(UTC),
    )
