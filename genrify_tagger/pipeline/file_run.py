"""One file on its way through the engine: read, identify, analyse and decide; then have the genre written."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from genrify_tagger import tags
from genrify_tagger.decision import Decision
from genrify_tagger.errors import (
    ChangedMeanwhileError,
    ClusterError,
    GenrifyError,
    InterruptedScanError,
    NotTaggableError,
    StoreError,
    TagError,
    WorkerUnavailableError,
)
from genrify_tagger.files import FileStat
from genrify_tagger.library import is_audio
from genrify_tagger.pipeline.album_decision import AlbumDecision
from genrify_tagger.pipeline.analyse_file import (
    AnalysedFile,
    Identity,
    Titles,
    analyse_file,
    exceeds_max_length,
    identify,
    titles_of,
)
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer, WriteRequest
from genrify_tagger.pipeline.incomplete import incomplete_reason, why_incomplete
from genrify_tagger.pipeline.journalled_write import last_decisive_change, provenance_of
from genrify_tagger.pipeline.other_runs import wait_for_write
from genrify_tagger.pipeline.results import Result, error_text
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance, decide_write, meaningful, stays, stricter
from genrify_tagger.tags import Snapshot

# Errors that may pass by themselves. Missing permissions do not: each scan would open every such file again.
_PASSING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENOTCONN),
}


@dataclass
class FileRun:
    """One file on its way through the engine, and what is known about it so far.

    Attributes
    ----------
    snapshot : Snapshot or None
        The genre in the file.
    identity : Identity or None
        The song.
    provenance : Provenance
        How the genre in the file came about.
    analysed : AnalysedFile or None
        None if the file was not analysed.
    ended : (Result, FileStat) or None
        The result, once no further step is to be taken.
    left_to_other : Outcome or None
        The outcome, if another run of this program has the file.
    """

    session: Session
    task: FileTask
    writer: Writer
    options: ScanOptions
    snapshot: Snapshot | None = None
    identity: Identity | None = None
    provenance: Provenance = field(init=False)
    analysed: AnalysedFile | None = None
    ended: tuple[Result, FileStat] | None = None
    left_to_other: Outcome | None = None

    def __post_init__(self) -> None:
        self.provenance = self.task.provenance

    @property
    def present(self) -> tuple[str, ...]:
        """The genres that the song has."""
        if self.task.present is not None or self.snapshot is None:
            return self.task.present or ()
        return self.snapshot.genres

    @property
    def kept_genres(self) -> tuple[str, ...]:
        """Those of them that stay, whatever is decided."""
        rules = self.session.settings.tagging
        existing = meaningful(self.present, rules.treat_as_missing)
        options = self.options
        stay = stays(existing, self.provenance, rules, force=options.force, reanalyse=options.reanalyse)
        return existing if stay else ()

    def prepare(self) -> None:
        """Analyse the song and decide on it, if that is needed."""
        self._step(self._prepare)

    def finish(self, album: AlbumDecision | None = None) -> Outcome:
        """Write what was decided on the song, or on its album, and return the outcome."""
        if self.ended is None:
            self._step(lambda: self._decide_and_write(album))
        assert self.ended is not None
        result, stat = self.ended
        return Outcome(
            result=result,
            stat=stat,
            identity=self.identity,
            genres_in_file=self.snapshot.genres if self.snapshot else (),
            titles=self.titles if self.writer.remembers and result.status != "failed" else None,
        )

    def _step(self, step: Callable[[], tuple[Result, FileStat] | None]) -> None:
        """Take a step; a failure becomes the file's result."""
        try:
            self.ended = step()
            return
        except (InterruptedScanError, StoreError, ClusterError):
            raise
        except NotTaggableError as error:
            result = self._result("skipped", reason=error.message)
        except (GenrifyError, OSError) as error:
            result = self._failed(self._result("failed"), error)
            with contextlib.suppress(WorkerUnavailableError):
                # A truncated file often cannot even be read.
                if not result.passing and (incomplete := why_incomplete(self.session, self.task.path)):
                    result = self._result("skipped", reason=incomplete)
        self.ended = result, self.task.stat

    @cached_property
    def titles(self) -> Titles | None:
        """Title, artist and album; None if they could not be read this time."""
        if self.task.titles is not None:
            return self.task.titles
        return titles_of(self.session, self.task.path, self.task.stat, self.task.record)

    def _prepare(self) -> tuple[Result, FileStat] | None:
        """Return the result if the file needs no decision."""
        task = self.task
        present = self._read().genres if task.present is None else task.present
        if not self._needs_analysis(present):
            return self._result("kept", present, reason="has a genre"), task.stat
        snapshot = self._read()
        identity = identify(self.session, task.path, task.stat, task.record)
        incomplete = incomplete_reason(self.session, identity.shortfall)
        if incomplete is not None and not self._keeps_genre(present):
            return self._result("skipped", present, reason=incomplete), task.stat
        _check_container(snapshot, identity)
        self.identity = identity
        if exceeds_max_length(self.session, self.identity):
            reason = f"longer than {self.session.settings.library.max_minutes:g} minutes"
            skipped = self._result("skipped", present, reason=reason)
            return replace(skipped, duration=self.identity.duration), task.stat
        if self.writer.remembers or self.session.settings.tagging.scope == "album":
            _ = self.titles  # now, because an interrupt must not come between the write and storing the outcome
        titles = self.titles if self.session.active.learned is not None else None
        self.analysed = analyse_file(
            self.session, task.path, identity, titles, others=task.others, again=self.options.reanalyse
        )
        self.provenance = self._provenance_now(snapshot, identity.audio_key)
        return None

    def _decide_and_write(self, album: AlbumDecision | None) -> tuple[Result, FileStat]:
        assert self.analysed is not None
        snapshot = self._read()
        analysed = self.analysed if album is None else album.instead_of(self.analysed)
        result = self._decide(self.present, analysed)
        if album is not None and result.status == "tagged":
            result = replace(result, reason=album.reason)
        return (result, self.task.stat) if result.status != "tagged" else self._write(snapshot, result)

    def _read(self) -> Snapshot:
        if self.snapshot is None:
            self.snapshot = tags.read(self.task.path, field=self.session.settings.tagging.field)
        return self.snapshot

    def _needs_analysis(self, present: Sequence[str]) -> bool:
        """Return whether an analysis could change anything, or is wanted anyway."""
        settings = self.session.settings
        if settings.analysis.existing or settings.tagging.existing != "keep":
            return True
        renewed = self.provenance is Provenance.WRITTEN_BY_PROGRAM and (self.options.force or self.options.reanalyse)
        return renewed or not meaningful(present, settings.tagging.treat_as_missing)

    def _keeps_genre(self, present: Sequence[str]) -> bool:
        """Tell whether nothing will be written, whatever the analysis says."""
        tagging = self.session.settings.tagging
        has_genre = bool(meaningful(present, tagging.treat_as_missing))
        return has_genre and tagging.existing == "keep" and not (self.options.force or self.options.reanalyse)

    def _decide(self, present: tuple[str, ...], analysed: AnalysedFile) -> Result:
        session, identity, decision = self.session, self.identity, analysed.decision
        assert identity is not None
        rules = session.settings.tagging
        names = self.writer.names(session, decision.genres, meaningful(present, rules.treat_as_missing))
        to_write = decide_write(
            present,
            decision,
            names,
            self.provenance,
            rules,
            force=self.options.force,
            reanalyse=self.options.reanalyse,
        )
        return Result(
            path=self.task.path,
            status=to_write.status,
            reason=to_write.reason or _why_unnamed(session, to_write.status, decision, names),
            genres=names,
            guess=session.active.guess(decision.scores, decision.confidence),
            confidence=decision.confidence,
            scores=decision.scores,
            vocabulary=session.active.vocabulary.name,
            tree=session.active.tree_path(next(iter(decision.genres), None)),
            nodes=session.active.named_nodes(decision),
            evidence=analysed.evidence,
            before=present,
            after=to_write.genres if to_write.status == "tagged" else present,
            cached=analysed.cached,
            duration=identity.duration,
            model=session.sidecar.id,
        )

    def _provenance_now(self, snapshot: Snapshot, audio_key: str) -> Provenance:
        found = stricter(self.task.provenance, self._journal_provenance(snapshot, audio_key))
        is_unexplained = snapshot.genres and found in (Provenance.NOT_WRITTEN, Provenance.CHANGED_SINCE)
        if is_unexplained and wait_for_write(self.session, self.task.target, audio_key):
            # Another run had replaced the file and not yet journalled that it was done.
            return stricter(self.task.provenance, self._journal_provenance(snapshot, audio_key))
        return found

    def _journal_provenance(self, snapshot: Snapshot, audio_key: str) -> Provenance:
        task = self.task
        if not self.session.store.knows_song(audio_key):
            return Provenance.NOT_WRITTEN
        known_at = self.session.moves.follow(
            task.target, audio_key, stat=task.stat, found_at=task.found_at, dry_run=not self.writer.remembers
        )
        change = last_decisive_change(self.session, known_at, audio_key)
        return provenance_of(change, snapshot, audio_key)

    def _write(self, snapshot: Snapshot, result: Result) -> tuple[Result, FileStat]:
        assert self.identity is not None
        request = WriteRequest(task=self.task, snapshot=snapshot, audio_key=self.identity.audio_key, result=result)
        try:
            return self.writer.write(self.session, request)
        except (InterruptedScanError, NotTaggableError, StoreError, ClusterError):
            raise
        except (GenrifyError, OSError) as error:
            return self._failed(replace(result, after=snapshot.genres), error), self.task.stat

    def _result(self, status: str, present: tuple[str, ...] | None = None, *, reason: str | None = None) -> Result:
        """Return a result without an analysis."""
        known = present or self.task.present or ()
        return Result(path=self.task.path, status=status, reason=reason, before=known, after=known)

    def _failed(self, result: Result, error: GenrifyError | OSError) -> Result:
        """Return a result as failed; `passing` if the operating system or another program prevented it for now."""
        cause = error.__cause__ if isinstance(error, TagError) else error
        passing = (
            isinstance(error, (ChangedMeanwhileError, WorkerUnavailableError))
            or (isinstance(cause, OSError) and cause.errno in _PASSING)
            or tags.stat_or_none(self.task.path) != self.task.stat  # it was changed or moved meanwhile
        )
        # A named file that is not audio is not stored: it does not belong to the library.
        listed = is_audio(self.task.path)
        words = error_text(error) if os.path.lexists(self.task.path) else "was moved or deleted meanwhile"
        return replace(result, status="failed", error=words, passing=passing, listed=listed)


def _check_container(snapshot: Snapshot, identity: Identity) -> None:
    """Refuse a file that only looks like MPEG audio: frames of it are in many other containers."""
    if snapshot.container == "mp3" and identity.container not in ("mp3", None):
        raise NotTaggableError(f"this is not MPEG audio, but another format ({identity.container})")


def _why_unnamed(session: Session, status: str, decision: Decision, names: Sequence[str]) -> str | None:
    if status != "unsure" or names or not decision.genres:
        return None
    genres = ", ".join(session.words.written_name(label) for label in decision.genres)
    return f"{genres} is not among the wanted genres"
