"""Writers of the decided genre: this program, another one, or (in a dry run) none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from genrify_tagger import tags
from genrify_tagger.errors import ChangedMeanwhileError, InterruptedScanError
from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.file_task import WriteRequest
from genrify_tagger.pipeline.journalled_write import check_writable, write_journalled
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.tags import WritePlan


@dataclass(frozen=True)
class TagWriter:
    """Writes tags itself and journals each change.

    Attributes
    ----------
    run : callable
        Returns the run to record changes under; called only if there is a change.
    origin : str
        What requested the change, for the journal.
    settled : bool
        Write only to files that have not changed at all since they were found.
    """

    run: Callable[[], int]
    origin: str = "scan"
    settled: bool = False
    remembers = True

    def names(self, session: Session, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return the names to write for labels; see `Writer`."""
        return session.words.names_to_write(labels)

    def write(self, session: Session, request: WriteRequest) -> tuple[Result, FileStat]:
        """Write a genre; see `Writer`."""
        plan = _plan(session, request, settled=self.settled)
        if plan is None:
            return _already_there(request), request.task.stat
        if session.stop.is_set():
            raise InterruptedScanError("interrupted", path=request.task.path)
        stat = write_journalled(
            session,
            self.run(),
            plan,
            origin=self.origin,
            audio_key=request.audio_key,
            key_stat=request.task.stat,
        )
        return request.result, stat


@dataclass(frozen=True)
class DryRun:
    """Plans each change as `TagWriter` does, and refuses what that would refuse, but writes nothing."""

    remembers = False

    def names(self, session: Session, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return the names to write for labels; see `Writer`."""
        return session.words.names_to_write(labels)

    def write(self, session: Session, request: WriteRequest) -> tuple[Result, FileStat]:
        """Plan a change; see `Writer`."""
        plan = _plan(session, request, settled=False)
        if plan is None:
            return _already_there(request), request.task.stat
        check_writable(session, plan)
        return request.result, request.task.stat


@dataclass(frozen=True)
class ExternalWriter:
    """Leaves the write to another program, which gets the outcome.

    Attributes
    ----------
    rename : callable
        Returns that program's names for labels, best first, given the present genres.
    """

    rename: Callable[[Sequence[str], Sequence[str]], tuple[str, ...]]
    remembers = False

    def names(self, session: Session, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return that program's names for labels; see `Writer`."""
        return self.rename(labels, present)

    def write(self, session: Session, request: WriteRequest) -> tuple[Result, FileStat]:
        """Return the result as it is; see `Writer`."""
        return request.result, request.task.stat


def _plan(session: Session, request: WriteRequest, *, settled: bool) -> WritePlan | None:
    """Return the plan to write a genre; None if the file already has it.

    Raises
    ------
    ChangedMeanwhileError
        If the file has changed since it was analysed.
    """
    plan = tags.plan_write(request.task.path, request.result.after, field=session.settings.tagging.field)
    is_other = not tags.same_genre(plan.before.raw, request.snapshot.raw)
    if is_other or (settled and plan.stat != request.task.stat):
        raise ChangedMeanwhileError(
            "the file was changed by another program, so it was left alone", path=request.task.path
        )
    return plan if plan.changes else None


def _already_there(request: WriteRequest) -> Result:
    return replace(request.result, status="kept", reason="already has this genre", after=request.snapshot.genres)
