"""Title, artist and album of a file, to be remembered and shown."""

from __future__ import annotations

from genrify_tagger.errors import GenrifyError, InterruptedScanError
from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord

Titles = tuple[str, str, str]  # title, artist and album


def titles_of(session: Session, path: str, stat: FileStat, record: FileRecord | None) -> Titles:
    """Return title, artist and album, "" for what the file lacks or what cannot be read.

    They are not read again if the store has them of the same file (`stat`).

    Raises
    ------
    InterruptedScanError
        If the run was stopped meanwhile.
    """
    if record is not None and record.stat == stat and record.title is not None:
        return record.title, record.artist or "", record.album or ""
    try:
        found = session.workers.read_titles(path)
    except InterruptedScanError:
        raise
    except GenrifyError:
        found = {}
    return found.get("title", ""), found.get("artist", ""), found.get("album", "")
