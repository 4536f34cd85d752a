"""What the engine is given and gives back: a file, what to do beyond the settings, who writes, and the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.analyse_file import Identity, Titles
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance
from genrify_tagger.store import FileRecord
from genrify_tagger.tags import Snapshot


@dataclass(frozen=True)
class ScanOptions:
    """What to do beyond the settings.

    Attributes
    ----------
    force : bool
        Write even where a genre that we wrote was undone, removed or changed since.
    reanalyse : bool
        Analyse everything again, and let that replace what we wrote ourselves.
    retry_failed : bool
        Try files again that failed before and have not changed since.
    """

    force: bool = False
    reanalyse: bool = False
    retry_failed: bool = False


@dataclass(frozen=True, kw_only=True)
class FileTask:
    """A file for the engine.

    Attributes
    ----------
    path, target : str
        The file as it was found, and its real path with all symbolic links resolved.
    stat : FileStat
        Its fingerprint when it was found.
    record : FileRecord or None
        What the store remembers of `target`.
    present : tuple of str or None
        What another program's library takes for the genre; None: what the file says counts.
    provenance : Provenance
        What that program knows of how the genre came to be.
    """

    path: str
    target: str
    stat: FileStat
    record: FileRecord | None = None
    present: tuple[str, ...] | None = None
    provenance: Provenance = Provenance.NOT_WRITTEN


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a file.

    Attributes
    ----------
    result : Result
        For people and programs. If another program writes, "tagged" means that `after` should become the genre.
    stat : FileStat or None
        The file's fingerprint after the write; None if the file was never looked at.
    identity : Identity or None
        Which song it is; None if that was not found out.
    genres_in_file : tuple of str
        The genres in the file before the write.
    titles : Titles
        Title, artist and album, if they were read.
    is_recorded : bool
        Whether another run has changed the file, and stores what became of it.
    """

    result: Result
    stat: FileStat | None = None
    identity: Identity | None = None
    genres_in_file: tuple[str, ...] = ()
    titles: Titles | None = None
    is_recorded: bool = False

    @property
    def audio_key(self) -> str | None:
        """The song's audio key, if it is known."""
        return self.identity.audio_key if self.identity else None


@dataclass(frozen=True, kw_only=True)
class WriteRequest:
    """A genre to be written: `result` as it will be if the write succeeds, into a file that was like `snapshot`."""

    task: FileTask
    snapshot: Snapshot
    audio_key: str
    result: Result


class Writer(Protocol):
    """Who writes the genre that was decided on."""

    @property
    def remembers(self) -> bool:
        """Whether the engine stores the outcome. A dry run stores none; another program's file may be moved first."""

    def names(self, session: Session, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return the names to write for labels, best first, given the genres that are present."""

    def write(self, session: Session, request: WriteRequest) -> tuple[Result, FileStat]:
        """Write a genre, or plan it; return what became of it and the file's fingerprint then.

        Raises
        ------
        GenrifyError, OSError
            If nothing was written.
        """
