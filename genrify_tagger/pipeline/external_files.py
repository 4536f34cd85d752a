"""Files whose tags another program (beets) writes: processed by the engine as in a scan, except for the write.

That program states the present genre and what it knows about its provenance; the journal is consulted, too.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from genrify_tagger import tags
from genrify_tagger.files import file_stat, real_path
from genrify_tagger.pipeline.analyse_file import Titles
from genrify_tagger.pipeline.file_pool import FilePool
from genrify_tagger.pipeline.file_state import has_failed_before, record_of
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions
from genrify_tagger.pipeline.results import Result, error_text
from genrify_tagger.pipeline.scan_folders import BATCH
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance
from genrify_tagger.pipeline.writers import ExternalWriter
from genrify_tagger.store import FileRecord, GenreRow

Rename = Callable[[Sequence[str], Sequence[str]], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class ExternalFile:
    """One file of another program's library.

    Attributes
    ----------
    path : str
        The file.
    present : tuple of str
        The genre according to that program.
    provenance : Provenance
        What it knows about how the genre came about.
    titles : Titles or None
        Title, artist and album according to it; None to read them from the file.
    others : sequence of GenreRow
        Other files of its artist and album with their genres according to it.
    """

    path: str
    present: tuple[str, ...] = ()
    provenance: Provenance = Provenance.NOT_WRITTEN
    titles: Titles | None = None
    others: Sequence[GenreRow] = ()


def suggest(
    session: Session, files: Iterable[ExternalFile], options: ScanOptions, *, rename: Rename
) -> Generator[Outcome]:
    """Analyse files and suggest what to do with each; no tag is changed.

    Parameters
    ----------
    session : Session
    files : iterable of ExternalFile
        The files to analyse.
    options : ScanOptions
        What to do beyond the settings.
    rename : callable
        Returns the names to write for labels, best first, given the present genres.

    Yields
    ------
    Outcome
        One for each file, in their order; "tagged" means that `after` should become the genre.

    Raises
    ------
    StoreError
        If the database cannot be used.
    InterruptedScanError
        If the session was stopped.
    """
    with FilePool(session, ExternalWriter(rename), options, ends_session=False) as pool:
        yield from pool.in_order(_tasks(session, files, options))


def remember_external(
    session: Session, path: str, outcome: Outcome, *, written: bool, titles: Titles | None = None
) -> None:
    """Store the present state of a file, so that a scan need not analyse or identify it again.

    Parameters
    ----------
    session : Session
    path : str
        Where the file is now.
    outcome : Outcome
        The suggestion.
    written : bool
        Whether its genre was written as suggested.
    titles : Titles or None
        Title, artist and album, if the other program knows them.
    """
    target = real_path(path)
    stat = tags.stat_or_none(target)
    known = session.store.files([target]).get(target)
    if stat is None or (known is not None and known.stat == stat and not written):
        return
    record = record_of(
        session, target, replace(outcome, result=_in_file(outcome, written=written), titles=titles), stat=stat
    )
    # Without a settings key, a scan decides anew, but need not analyse the song again.
    session.store.save_files([replace(record, settings_key=None)])


def _in_file(outcome: Outcome, *, written: bool) -> Result:
    """Return a result that describes the file rather than the other program's library."""
    result = replace(
        outcome.result,
        before=outcome.genres_in_file,
        after=outcome.result.after if written else outcome.genres_in_file,
        duration=outcome.identity.duration if outcome.identity else None,
    )
    if result.status == "tagged" and not written:
        return replace(result, status="kept", reason="its genre is not in the file")
    return result


def _tasks(session: Session, files: Iterable[ExternalFile], options: ScanOptions) -> Iterator[FileTask | Outcome]:
    rest = iter(files)
    while batch := list(islice(rest, BATCH)):
        targets = [real_path(file.path) for file in batch]
        known = session.store.files(targets)
        yield from [
            _task(session, file, target, known.get(target), options)
            for file, target in zip(batch, targets, strict=True)
        ]


def _task(
    session: Session, file: ExternalFile, target: str, record: FileRecord | None, options: ScanOptions
) -> FileTask | Outcome:
    failed = Result(path=file.path, status="failed", before=file.present, after=file.present)
    try:
        stat = file_stat(target)
    except OSError as error:
        return Outcome(result=replace(failed, error=error_text(error)))
    if record is not None and has_failed_before(session, record, stat, options):
        return Outcome(result=replace(failed, error=record.error, cached=True))
    return FileTask(
        path=file.path,
        target=target,
        stat=stat,
        record=record,
        present=file.present,
        provenance=file.provenance,
        titles=file.titles,
        others=file.others,
    )
