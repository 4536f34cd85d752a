"""A song for the eye and for players that know few formats; each is made in a worker process."""

from __future__ import annotations

from genrify_tagger.analysis import Picture
from genrify_tagger.pipeline.session import Session


def captions(session: Session, path: str) -> dict[str, str]:
    """Return title, artist and album, those that the file has.

    Raises
    ------
    GenrifyError
        If the file cannot be read.
    """
    return session.workers.captions(path)


def depict(session: Session, path: str, *, columns: int) -> Picture:
    """Draw waveform and mel spectrogram of a whole song in at most so many columns; errors are those of `captions`."""
    return session.workers.depict(path, columns=columns)


def to_opus(session: Session, path: str) -> bytes:
    """Return a song as a WebM file of Opus; errors are those of `captions`."""
    return session.workers.to_opus(path)
