"""What the store takes and returns: frozen dataclasses, one per table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from genrify_tagger.files import FileStat

PENDING, DONE, FAILED = "pending", "done", "failed"  # the states of a change
MISSING = "missing"  # the status of files that no longer exist, in `counts` and `files_under`


def utc_now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """The last known state of a file, and the result for it.

    Attributes
    ----------
    path : str
        Absolute path, decoded by `os.fsdecode`.
    status : str
        tagged, kept, unsure, failed or skipped.
    stat : FileStat or None
        The file's fingerprint after the last scan or write; None if unknown.
    audio_key : str or None
        Identity of the audio; None if it was never read.
    reason, error : str or None
        Why it was kept, unsure or skipped; why it failed. Without the path.
    genres : tuple of str
        Decided genres, as written ("Hip-Hop").
    scores : mapping of str to float
        Score of every label of the vocabulary.
    before, after : tuple of str
        Genres in the file before and after.
    settings_key : str or None
        Fingerprint of the settings that led to this result.
    duration : float or None
        Seconds of audio.
    missing_since : datetime or None
        When the file was found missing; None while it exists.
    title, artist, album : str or None
        From the file's tags, "" if absent; None if never read.
    artist_key, album_key : str or None
        Equal for the songs of an artist or album, "" if there is none; None if never read.
    """

    path: str
    status: str
    stat: FileStat | None = None
    audio_key: str | None = None
    reason: str | None = None
    error: str | None = None
    genres: tuple[str, ...] = ()
    confidence: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    vocabulary: str | None = None
    model: str | None = None
    settings_key: str | None = None
    duration: float | None = None
    container: str | None = None
    seen_at: datetime = field(default_factory=utc_now)
    missing_since: datetime | None = None
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    artist_key: str | None = None
    album_key: str | None = None

    @property
    def margin(self) -> float | None:
        """By how much the likeliest label's score is above the next one's; None without scores, and for silence."""
        best, following = sorted((*self.scores.values(), 0.0, 0.0), reverse=True)[:2]
        return best - following if best else None


@dataclass(frozen=True, slots=True)
class Sighting:
    """The columns of a `FileRecord` that tell whether a file is unchanged, and if the user is told of it anyway."""

    stat: FileStat | None
    status: str
    reason: str | None
    model: str | None
    settings_key: str | None
    missing_since: datetime | None
    title: str | None


@dataclass(frozen=True, slots=True)
class GenreRow:
    """The columns of a `FileRecord` that tell a file's genre, whose it is, and to which songs the song belongs."""

    path: str
    audio_key: str | None
    status: str
    reason: str | None
    after: tuple[str, ...]
    artist_key: str | None
    album_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTag:
    """The genre found in a file after another program wrote it.

    Attributes
    ----------
    raw : bytes or None
        Raw bytes of the field; None if it is absent.
    genres : tuple of str
        The same as names.
    audio_key : str or None
        Identity of the audio.
    """

    raw: bytes | None
    genres: tuple[str, ...]
    audio_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run of a command.

    Attributes
    ----------
    status : str
        "running", the status given to `finish_run`, or "interrupted" if the process ended without calling it.
    counts : mapping of str to int
        Number of files by status; empty until the run is finished.
    """

    id: int
    command: str
    arguments: tuple[str, ...]
    model: str | None
    started_at: datetime
    finished_at: datetime | None
    status: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecord:
    """One journalled change of one field of one file.

    Attributes
    ----------
    run : int
        The run it belongs to.
    before, after : bytes or None
        Raw bytes of the field; None means the field was absent, which is not the same as empty.
    before_genres, after_genres : tuple of str or None
        The same as names.
    origin : str
        scan, set, undo, watch, beets or web.
    state : str
        pending, done or failed.
    undoes : int or None
        The change that this one reverts.
    undone_by : int or None
        The change that reverted this one, unless that was reverted itself.
    backup : str or None
        Path of a full copy of the file, kept until an in-place write is verified.
    path : str
        Where the song is now, as far as known.
    made_at : str or None
        The path at which the change was made, if the song has moved since.
    """

    id: int
    run: int
    path: str
    field: str
    before: bytes | None
    after: bytes | None
    before_genres: tuple[str, ...] | None
    after_genres: tuple[str, ...] | None
    audio_key: str | None
    stat_before: FileStat | None
    stat_after: FileStat | None
    origin: str
    state: str
    undoes: int | None
    undone_by: int | None
    backup: str | None
    error: str | None
    created_at: datetime
    made_at: str | None = None
