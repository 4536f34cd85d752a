"""Genres that another program (beets) writes for this one: journalled before the write, read back after it.

So a scan knows that such a genre is this program's own, and detects if it was changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from genrify_tagger import tags
from genrify_tagger.errors import GenrifyError, StoreError, TagError, WriteRefusedError
from genrify_tagger.files import FileStat, file_stat, real_path
from genrify_tagger.pipeline.analyse_file import Identity, identify
from genrify_tagger.pipeline.journalled_write import begin_change, last_decisive_change, provenance_of
from genrify_tagger.pipeline.results import error_text
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance
from genrify_tagger.store import DONE, FAILED, ChangeRecord, ObservedTag
from genrify_tagger.tags import Snapshot

# Containers by FFmpeg's names that state the size of the audio and have the tag behind it.
_TAGGED_BEHIND_THE_AUDIO = {"wav", "aiff", "dsf"}


def announce_write(
    session: Session,
    run: Callable[[], int],
    path: str,
    genres: Sequence[str],
    *,
    origin: str,
    audio_key: str | None = None,
    undoes: int | None = None,
) -> int | None:
    """Journal that another program is about to write a genre into a file.

    Parameters
    ----------
    session : Session
    run : callable
        Returns the run to record the change under; not called if there is no change.
    path : str
        The file, before the write.
    genres : sequence of str
        The genres to be written; empty if the genre is removed.
    origin : str
        "beets", or "undo" for a write that undoes a change.
    audio_key : str or None
        The song's identity, if it is known.
    undoes : int or None
        The change that this one undoes.

    Returns
    -------
    int or None
        The change, for `confirm_write`; None if the file has these genres already.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read, or the database cannot be used.
    """
    plan = tags.plan_write(path, genres, field=session.settings.tagging.field, any_name=True)
    if not plan.changes:
        return None
    key = audio_key or session.workers.audio_key(plan.target)
    session.moves.follow(plan.target, key)  # or the former path would keep the older changes
    return begin_change(session, run(), plan, origin=origin, audio_key=key, undoes=undoes)


def confirm_write(session: Session, change: int) -> Callable[[], None]:
    """Read back what the other program wrote.

    Returns
    -------
    callable
        Journals the change as done, with the bytes that were found, or as failed if the genre was not written. It
        takes a while, because it identifies the audio once more, and may be called from another thread; a process that
        is killed before leaves the change to the next start.

    Raises
    ------
    StoreError
        If the database cannot be used; so does the callable.
    """
    record = session.store.change(change)
    if record is None:
        raise StoreError(f"the journal has no change {change}")
    try:
        stat = file_stat(record.path)
        snapshot = tags.read(record.path, field=record.field)
    except (GenrifyError, OSError) as error:
        return partial(session.store.finish_change, change, FAILED, error=error_text(error))
    if tags.same_genre(snapshot.raw, record.before):
        return partial(session.store.finish_change, change, FAILED, error="the genre was not written")
    return partial(_finish, session, record, stat, snapshot)


def _finish(session: Session, record: ChangeRecord, stat: FileStat, snapshot: Snapshot) -> None:
    found = ObservedTag(raw=snapshot.raw, genres=snapshot.genres, audio_key=_key_now(session, record))
    session.store.finish_change(record.id, DONE, stat_after=stat, found=found)


def _key_now(session: Session, record: ChangeRecord) -> str | None:
    """Return the audio key after the write; the former one if the file cannot be read now."""
    try:
        return session.workers.audio_key(record.path)
    except GenrifyError:
        return record.audio_key


def standing_change(session: Session, change: ChangeRecord) -> ChangeRecord | None:
    """Return the change that is in force: the change itself, or if it is an undo, the one before the undone one."""
    standing: ChangeRecord | None = change
    while standing is not None and standing.origin == "undo":
        fallen = session.store.change(standing.undoes) if standing.undoes is not None else None
        standing = fallen and session.store.last_change(
            standing.path, standing.audio_key, field=standing.field, before=fallen.id
        )
    return standing


def change_reverted_by(session: Session, path: str, genres: Sequence[str]) -> ChangeRecord | None:
    """Return another program's change of a file that it would undo by writing these genres now.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read, or the database cannot be used.
    """
    plan = tags.plan_write(path, genres, field=session.settings.tagging.field, any_name=True)
    change, provenance = latest_change(session, path) if plan.changes else (None, Provenance.NOT_WRITTEN)
    standing = (
        standing_change(session, change)
        if change is not None and provenance in (Provenance.WRITTEN_BY_PROGRAM, Provenance.UNDONE)
        else None
    )
    if standing is None or standing.origin != "beets" or not tags.same_genre(plan.after.raw, standing.before):
        return None
    return standing


def latest_change(session: Session, path: str) -> tuple[ChangeRecord | None, Provenance]:
    """Return the journal's last word on the song in a file, and what it means for the genre that is there now.

    Raises
    ------
    GenrifyError, OSError
        If the file cannot be read, or the database cannot be used.
    """
    target = real_path(path)
    stat = file_stat(target)
    record = session.store.files([target]).get(target)
    key = identify(session, target, stat, record).audio_key
    field = session.settings.tagging.field
    known_at = session.moves.follow(target, key, dry_run=True)
    change = last_decisive_change(session, known_at, key)
    return change, provenance_of(change, tags.read(target, field=field), key)


def external_write_refusal(path: str, identity: Identity | None = None) -> TagError | None:
    """Return why another program could not write a file's tags, None if it could.

    Parameters
    ----------
    path : str
    identity : Identity or None
        The song, if known: the tag of an incomplete file may end up inside of what counts as its audio.
    """
    if identity is not None and identity.shortfall is not None and identity.container in _TAGGED_BEHIND_THE_AUDIO:
        hint = "genrify-tag scan --incomplete tags it correctly"
        return WriteRefusedError(f"{identity.shortfall}; the tag would become part of the audio", path=path, hint=hint)
    return tags.in_place_refusal(path)
