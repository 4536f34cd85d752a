"""A song for the eye and for players that know few formats; each is made in a worker process."""

from __future__ import annotations

from genrify_tagger.analysis import Picture
from genrify_tagger.errors import GenrifyError, InterruptedScanError
from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord

Names = tuple[str, str, str]  # title, artist and album


def read_titles(session: Session, path: str) -> dict[str, str]:
    """Return title, artist and album, those that the file has.

    Raises
    ------
    GenrifyError
        If the file cannot be read.
    """
    return session.workers.read_titles(path)


def names_of(session: Session, path: str, stat: FileStat, record: FileRecord | None) -> Names:
    """Return title, artist and album to be remembered, "" for what the file lacks or what cannot be read.

    What is known of the same file (`stat`) already is not read again.

    Raises
    ------
    InterruptedScanError
        If the run was stopped meanwhile.
    """
    if record is not None and record.stat == stat and record.title is not None:
        return record.title, record.artist or "", record.album or ""
    try:
        found = read_titles(session, path)
    except InterruptedScanError:
        raise
    except GenrifyError:
        found = {}
    return found.get("title", ""), found.get("artist", ""), found.get("album", "")


def render_pictures(session: Session, path: str, *, columns: int) -> Picture:
    """Draw waveform and mel spectrogram of a whole song in at most `columns` columns."""
    return session.workers.depict(path, columns=columns)


def to_opus(session: Session, path: str) -> bytes:
    """Return a song as a WebM file of Opus; errors are those of `read_titles`."""
    return session.workers.to_opus(path)
