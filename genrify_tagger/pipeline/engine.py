"""The engine: takes one file through all steps, for every entry point and every writer.

Read the genre in the file, identify the song by its audio, analyse it, decide, have the genre written, store the
outcome. The caller chooses the `Writer`: this program's own, a dry run, or another program (see `writers`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from genrify_tagger import tags
from genrify_tagger.decision import Decision
from genrify_tagger.errors import (
    ChangedMeanwhileError,
    GenrifyError,
    InterruptedScanError,
    NotTaggableError,
    StoreError,
    TagError,
    WorkerUnavailableError,
)
from genrify_tagger.files import FileStat
from genrify_tagger.library import is_audio
from genrify_tagger.pipeline.analyse_file import (
    AnalysedFile,
    Identity,
    Titles,
    analyse_file,
    exceeds_max_length,
    identify,
    titles_of,
)
from genrify_tagger.pipeline.file_state import record_of
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer, WriteRequest
from genrify_tagger.pipeline.incomplete import incomplete_reason, why_incomplete
from genrify_tagger.pipeline.journalled_write import last_decisive_change, provenance_of
from genrify_tagger.pipeline.other_runs import change_in_flight, left_to_other_run, wait_for_write
from genrify_tagger.pipeline.results import Result, error_text
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance, decide_write, meaningful, stricter
from genrify_tagger.tags import Snapshot

# Errors that may pass by themselves. Missing permissions do not: each scan would open every such file again.
_PASSING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENOENT, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ENOTCONN),
}


def process_file(session: Session, task: FileTask, writer: Writer, options: ScanOptions) -> Outcome:
    """Take one file through all steps; a failure becomes the file's outcome.

    Raises
    ------
    InterruptedScanError
        If the run was stopped before this file was done.
    StoreError
        If the database cannot be used, which affects all files.
    """
    outcome = _left_to_other_run(session, task, Outcome(result=Result(path=task.path, status="kept"), stat=task.stat))
    if not outcome.is_recorded:
        outcome = _left_to_other_run(session, task, _FileRun(session, task, writer, options).run())
    if writer.remembers and outcome.result.listed and not outcome.is_recorded:
        # Without a fingerprint it does not count as unchanged: the next scan tries it again.
        stat = None if outcome.result.passing else outcome.stat
        session.store.save_files([record_of(session, task.target, outcome, stat=stat)])
    return outcome


def _left_to_other_run(session: Session, task: FileTask, outcome: Outcome) -> Outcome:
    """Return the outcome as it is if another run of this program changed the file since it was found."""
    if outcome.stat != task.stat:  # this run wrote it
        return outcome
    if not outcome.result.passing and tags.stat_or_none(task.target) == task.stat:
        return outcome
    change = change_in_flight(session, task.target, task.stat, audio_key=outcome.audio_key)
    if change is None:
        return outcome
    return replace(outcome, result=left_to_other_run(outcome.result, change), is_recorded=True)


@dataclass
class _FileRun:
    """One file on its way through the engine, and what is known about it so far."""

    session: Session
    task: FileTask
    writer: Writer
    options: ScanOptions
    snapshot: Snapshot | None = None
    identity: Identity | None = None
    provenance: Provenance = field(init=False)

    def __post_init__(self) -> None:
        self.provenance = self.task.provenance

    def run(self) -> Outcome:
        """Take the file through all steps."""
        stat = self.task.stat
        try:
            result, stat = self._process()
        except (InterruptedScanError, StoreError):
            raise
        except NotTaggableError as error:
            result = self._result("skipped", reason=error.message)
        except (GenrifyError, OSError) as error:
            result = self._failed(self._result("failed"), error)
            with contextlib.suppress(WorkerUnavailableError):
                # A truncated file often cannot even be read.
                if not result.passing and (incomplete := why_incomplete(self.session, self.task.path)):
                    result = self._result("skipped", reason=incomplete)
        return Outcome(
            result=result,
            stat=stat,
            identity=self.identity,
            genres_in_file=self.snapshot.genres if self.snapshot else (),
            titles=self.titles if self.writer.remembers and result.status != "failed" else None,
        )

    @cached_property
    def titles(self) -> Titles | None:
        """Title, artist and album; None if they could not be read this time."""
        return titles_of(self.session, self.task.path, self.task.stat, self.task.record)

    def _process(self) -> tuple[Result, FileStat]:
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
        if self.writer.remembers:
            _ = self.titles  # now, because an interrupt must not come between the write and storing the outcome
        titles = self.titles if self.session.learned is not None else None
        analysed = analyse_file(self.session, task.path, self.identity, titles, again=self.options.reanalyse)
        result = self._decide(snapshot, present, analysed)
        return (result, task.stat) if result.status != "tagged" else self._write(snapshot, result)

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

    def _decide(self, snapshot: Snapshot, present: tuple[str, ...], analysed: AnalysedFile) -> Result:
        session, identity, decision = self.session, self.identity, analysed.decision
        assert identity is not None
        rules = session.settings.tagging
        self.provenance = self._provenance_now(snapshot, identity.audio_key)
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
            guess=session.guess(decision.scores, decision.confidence),
            confidence=decision.confidence,
            scores=decision.scores,
            vocabulary=session.vocabulary.name,
            tree=session.tree_path(next(iter(decision.genres), None)),
            nodes=session.named_nodes(decision),
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
        except (InterruptedScanError, NotTaggableError, StoreError):
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
    genres = ", ".join(session.written_name(label) for label in decision.genres)
    return f"{genres} is not among the wanted genres"
