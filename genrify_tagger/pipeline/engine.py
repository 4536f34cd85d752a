"""The engine: takes one file through all steps, for every entry point and every writer.

Read the genre in the file, identify the song by its audio, analyse it, decide, have the genre written, store the
outcome. The caller chooses the `Writer`: this program's own, a dry run, or another program (see `writers`).
"""

from __future__ import annotations

from dataclasses import replace

from genrify_tagger import tags
from genrify_tagger.pipeline.album_decision import AlbumDecision
from genrify_tagger.pipeline.file_run import FileRun
from genrify_tagger.pipeline.file_state import record_of
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer
from genrify_tagger.pipeline.other_runs import change_in_flight, left_to_other_run
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session


def process_file(session: Session, task: FileTask, writer: Writer, options: ScanOptions) -> Outcome:
    """Take one file through all steps; a failure becomes the file's outcome.

    Raises
    ------
    InterruptedScanError
        If the run was stopped before this file was done.
    StoreError
        If the database cannot be used, which affects all files.
    """
    return finish_file(prepare_file(session, task, writer, options))


def prepare_file(session: Session, task: FileTask, writer: Writer, options: ScanOptions) -> FileRun:
    """Take one file as far as its analysis and the decision on the song by itself; see `process_file`."""
    file_run = FileRun(session, task, writer, options)
    outcome = _left_to_other_run(session, task, Outcome(result=Result(path=task.path, status="kept"), stat=task.stat))
    if outcome.is_recorded:
        file_run.left_to_other = outcome
    else:
        file_run.prepare()
    return file_run


def finish_file(file_run: FileRun, album: AlbumDecision | None = None) -> Outcome:
    """Take a prepared file through the other steps; see `process_file`.

    Parameters
    ----------
    file_run : FileRun
    album : AlbumDecision or None
        The decision on the song's album, in place of that on the song.
    """
    session, task, writer = file_run.session, file_run.task, file_run.writer
    outcome = file_run.left_to_other or _left_to_other_run(session, task, file_run.finish(album))
    if writer.remembers and outcome.result.listed and not outcome.is_recorded:
        # Without a fingerprint it does not count as unchanged: the next scan tries it again.
        stat = None if outcome.result.passing else outcome.stat
        session.store.save_files([record_of(session, task.target, outcome, stat=stat)])
    session.claims.release(task.target)
    return outcome


def _left_to_other_run(session: Session, task: FileTask, outcome: Outcome) -> Outcome:
    """Return the outcome as it is if another run of this program changed the file since it was found."""
    if outcome.stat != task.stat:  # this run wrote it
        return outcome
    # A write in place that another run has begun makes this one's fail before the file has changed.
    if outcome.result.status != "failed" and tags.stat_or_none(task.target) == task.stat:
        return outcome
    change = change_in_flight(session, task.target, task.stat, audio_key=outcome.audio_key)
    if change is None:
        return outcome
    return replace(outcome, result=left_to_other_run(outcome.result, change), is_recorded=True)
