"""What to do with songs whose tags another program writes: recognised, heard and judged as in a scan, never written.

That program (beets) tells what it takes for the genre and what it knows of its past; what the journal knows is added.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from genrify_tagger import tags
from genrify_tagger.errors import GenrifyError, InterruptedScanError, NotTaggableError, StoreError
from genrify_tagger.files import FileStat, file_stat
from genrify_tagger.pipeline.journalled_write import provenance_of
from genrify_tagger.pipeline.process_file import (
    Classification,
    Identity,
    ScanOptions,
    classify,
    error_text,
    exceeds_max_length,
    identify,
)
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.scan_folders import BATCH, WINDOW
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance, decide_write, meaningful, stricter
from genrify_tagger.store import FileRecord

Rename = Callable[[Sequence[str], Sequence[str]], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class ExternalFile:
    """One file of another program's library.

    Attributes
    ----------
    path : str
        The file.
    present : tuple of str
        What that program takes for the genre.
    past : Past
        What it knows of how the genre came to be.
    """

    path: str
    present: tuple[str, ...] = ()
    past: Provenance = Provenance.UNTOUCHED


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What to do with a song.

    Attributes
    ----------
    result : Result
        As from a scan; "tagged" means that `after` should become the genre.
    past : Past
        What is known of the song's genre, the journal's word included.
    identity : Identity or None
        Which song it is; None if that was not looked at.
    in_file : tuple of str
        The genres that the file itself has now.
    """

    result: Result
    past: Provenance = Provenance.UNTOUCHED
    identity: Identity | None = None
    in_file: tuple[str, ...] = ()

    @property
    def audio_key(self) -> str | None:
        """The song's audio key, if it is known."""
        return self.identity.audio_key if self.identity else None


def suggest(
    session: Session, songs: Iterable[ExternalFile], options: ScanOptions, *, rename: Rename | None = None
) -> Generator[Suggestion]:
    """Listen to songs, side by side, and say what to do with each; no song's tags are changed.

    Parameters
    ----------
    session : Session
        The open session.
    songs : iterable of Song
        What to look at.
    options : ScanOptions
        `force`, `reanalyse` and `retry_failed` count.
    rename : callable, optional
        Makes names to be written of labels that were heard, best first, and the genres that are present; by default
        each label has its written name.

    Yields
    ------
    Advice
        One for each song, in their order.

    Raises
    ------
    StoreError
        If the database cannot be used.
    InterruptedScanError
        If the session was stopped.
    """
    names = rename or _written_names(session)
    rest = iter(songs)
    pool = ThreadPoolExecutor(session.workers.jobs + 2, thread_name_prefix="genrify")
    window: deque[Future[Suggestion]] = deque()
    try:
        while batch := list(islice(rest, BATCH)):
            targets = [os.path.realpath(song.path) for song in batch]
            known = session.store.files(targets)
            for song, target in zip(batch, targets, strict=True):
                window.append(pool.submit(_advise, session, song, target, known.get(target), options, names))
                while window and (len(window) > WINDOW * session.workers.jobs or window[0].done()):
                    yield window.popleft().result()
        while window:
            yield window.popleft().result()
    except KeyboardInterrupt:
        session.stop.set()
        session.workers.interrupt()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def record_suggestion(
    session: Session, path: str, advice: Suggestion, *, written: bool, titles: tuple[str, str, str] | None = None
) -> None:
    """Remember a song as it is now, so that no scan has to listen to it, or even to recognise it, again.

    Parameters
    ----------
    session : Session
        The open session.
    path : str
        Where the file is now.
    advice : Advice
        What was said of it.
    written : bool
        Whether its genre was written as advised.
    titles : tuple of str or None
        Title, artist and album, if the other program knows them.
    """
    target = os.path.realpath(path)
    stat = tags.stat_or_none(target)
    known = session.store.files([target]).get(target)
    if stat is None or (known is not None and known.stat == stat and not written):
        return
    title, artist, album = titles or (None, None, None)
    record = _record(session, target, stat, advice, written=written)
    session.store.save_files([replace(record, title=title, artist=artist, album=album)])


def _written_names(session: Session) -> Rename:
    return lambda labels, present: tuple(session.written_name(label) for label in labels)


def _advise(
    session: Session, song: ExternalFile, target: str, record: FileRecord | None, options: ScanOptions, rename: Rename
) -> Suggestion:
    plain = Result(path=song.path, status="kept", before=song.present, after=song.present)
    try:
        stat = file_stat(target)
        if record is not None and _failed_before(session, record, stat, options):
            return Suggestion(result=replace(plain, status="failed", error=record.error, cached=True))
        return _heard(session, song, target, stat, record, options, rename, plain)
    except InterruptedScanError:
        raise
    except NotTaggableError as error:
        return Suggestion(result=replace(plain, status="skipped", reason=error.message))
    except StoreError:
        raise  # no single file's failure
    except (GenrifyError, OSError) as error:
        return Suggestion(result=replace(plain, status="failed", error=error_text(error)))


def _failed_before(session: Session, record: FileRecord, stat: FileStat, options: ScanOptions) -> bool:
    same = record.stat == stat and record.model == session.sidecar.id
    return record.status == "failed" and same and not (options.retry_failed or options.force)


def _heard(
    session: Session,
    song: ExternalFile,
    target: str,
    stat: FileStat,
    record: FileRecord | None,
    options: ScanOptions,
    rename: Rename,
    plain: Result,
) -> Suggestion:
    rules = session.settings.tagging
    if not _is_of_interest(session, song, options):
        return Suggestion(result=replace(plain, reason="has a genre"), past=song.past)
    snapshot = tags.read(target, field=rules.field)
    identity = identify(session, target, stat, record)
    if exceeds_max_length(session, identity):
        reason = f"longer than {session.settings.library.max_minutes:g} minutes"
        result = replace(plain, status="skipped", reason=reason, duration=identity.duration)
        return Suggestion(result=result, identity=identity, in_file=snapshot.genres)
    heard = classify(session, target, identity, again=options.reanalyse)
    change = session.store.last_change(target, identity.audio_key, field=rules.field)
    known = stricter(song.past, provenance_of(change, snapshot, identity.audio_key))
    names = rename(heard.decision.genres, meaningful(song.present, rules.treat_as_missing))
    verdict = decide_write(
        song.present, heard.decision, names, known, rules, force=options.force, reanalyse=options.reanalyse
    )
    result = replace(
        _with_hearing(session, plain, heard, identity),
        status=verdict.status,
        reason=verdict.reason or _why_nameless(verdict.status, heard, names),
        genres=names,
        after=verdict.genres if verdict.status == "tagged" else song.present,
    )
    return Suggestion(result=result, past=known, identity=identity, in_file=snapshot.genres)


def _is_of_interest(session: Session, song: ExternalFile, options: ScanOptions) -> bool:
    """Tell whether listening could change anything, or is wanted all the same."""
    settings = session.settings
    if settings.analysis.existing or settings.tagging.existing != "keep":
        return True
    renewed = song.past is Provenance.OURS and (options.force or options.reanalyse)
    return renewed or not meaningful(song.present, settings.tagging.treat_as_missing)


def _with_hearing(session: Session, plain: Result, heard: Classification, identity: Identity) -> Result:
    return replace(
        plain,
        confidence=heard.decision.confidence,
        scores=heard.decision.scores,
        vocabulary=session.vocabulary.name,
        cached=heard.cached,
        duration=identity.duration,
        model=session.sidecar.id,
    )


def _why_nameless(status: str, heard: Classification, names: Sequence[str]) -> str | None:
    if status != "unsure" or names or not heard.genres:
        return None
    return f"{', '.join(heard.genres)} is not among the wanted genres"


def _record(session: Session, target: str, stat: FileStat, advice: Suggestion, *, written: bool) -> FileRecord:
    result = advice.result
    left = result.status == "tagged" and not written
    return FileRecord(
        path=target,
        stat=stat,
        audio_key=advice.audio_key,
        status="kept" if left else result.status,
        reason="its genre is not in the file" if left else result.reason,
        error=result.error,
        genres=result.genres,
        confidence=result.confidence,
        scores=result.scores,
        before=advice.in_file,
        after=result.after if written else advice.in_file,
        vocabulary=session.vocabulary.name,
        model=session.sidecar.id,
        # None: a scan judges for itself; it only need not listen again.
        settings_key=None,
        duration=advice.identity.duration if advice.identity else None,
        container=advice.identity.container if advice.identity else None,
        seen_at=datetime.now(UTC),
    )
