"""The genres in the library's files: which words mean the same, and rewriting them to one name, journalled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from genrify_tagger import tags
from genrify_tagger.errors import GenrifyError, StoreError
from genrify_tagger.files import real_path
from genrify_tagger.genre_spelling import GenreSpelling, UnifiedGenre, UnifiedNames, spelling, unify
from genrify_tagger.pipeline.journalled_write import (
    TIDY,
    check_writable,
    last_decisive_change,
    provenance_of,
    save_file_state,
    write_journalled,
)
from genrify_tagger.pipeline.results import Result, error_text
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance, meaningful, protected_genre
from genrify_tagger.store import FileRecord

_LEFT_ALONE = {
    Provenance.SET_BY_HAND: "set by hand",
    Provenance.WRITTEN_BY_PROGRAM: "written by this program",
    Provenance.UNDONE: "its genre was undone",
}


def library_genres(session: Session, rules: GenreSpelling | None = None) -> list[UnifiedGenre]:
    """Return the genres in the library's files, most frequent first."""
    counts = {word: files for word, files in session.store.overview().genres.items() if spelling(word)}
    return unify(counts, rules or session.words.spelling)


def tidy_genres(
    session: Session, run: int, paths: Sequence[str], names: UnifiedNames, *, dry_run: bool
) -> Iterator[Result]:
    """Rewrite genres that are spelled differently from the rest of the library.

    Genres that were set by hand, undone or written by this program are left alone; whose a genre is does not change.

    Parameters
    ----------
    session : Session
    run : int
        Run to record the changes under.
    paths : sequence of str
        Files and folders; empty for the whole library.
    names : UnifiedNames
        The names to write, by word.
    dry_run : bool
        Only report what would happen.

    Yields
    ------
    Result
        "tagged", "skipped" or "failed"; files with nothing to do are left out.

    Raises
    ------
    StoreError
        If the database cannot be used.
    """
    folders: list[str | None] = [real_path(path) for path in paths]
    for folder in folders or [None]:
        for record in session.store.files_under(folder):
            if session.stop.is_set():
                return
            if not record.after or names(record.after) == record.after:
                continue
            try:
                result = _tidy_one(session, run, record, names, dry_run=dry_run)
            except StoreError:
                raise  # affects all files
            except (GenrifyError, OSError) as error:
                result = Result(path=record.path, status="failed", error=error_text(error), before=record.after)
            if result is not None:
                yield result


def _tidy_one(session: Session, run: int, record: FileRecord, names: UnifiedNames, *, dry_run: bool) -> Result | None:
    field, path = session.settings.tagging.field, record.path
    snapshot = tags.read(path, field=field)
    wanted = names(snapshot.genres)
    if not meaningful(snapshot.genres, session.settings.tagging.treat_as_missing) or wanted == snapshot.genres:
        return None
    key = record.audio_key or session.workers.audio_key(path)
    provenance = provenance_of(last_decisive_change(session, path, key), snapshot, key)
    last = session.store.last_change(path, key, field=field)
    if last is not None and last.origin == "undo" and tags.same_genre(last.after, snapshot.raw):
        provenance = Provenance.UNDONE
    result = Result(path=path, status="tagged", before=snapshot.genres, after=wanted)
    as_it_is = replace(result, status="skipped", after=snapshot.genres)
    if provenance in _LEFT_ALONE:
        return replace(as_it_is, reason=_LEFT_ALONE[provenance])
    if protected_genre(snapshot.genres, session.settings.tagging.protected) is not None:
        return replace(as_it_is, reason="a protected genre")
    plan = tags.plan_write(path, wanted, field=field)
    if not plan.changes:
        return None
    if dry_run:
        check_writable(session, plan)
    else:
        stat = write_journalled(session, run, plan, origin=TIDY, audio_key=record.audio_key)
        save_file_state(session, path, stat, "kept", reason="has a genre", genres=wanted)
    return result
