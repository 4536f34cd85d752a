"""What the engine takes and returns: a file, options beyond the settings, the writer, and the outcome."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from genrify_tagger.files import FileStat
from genrify_tagger.pipeline.analyse_file import Identity, Titles
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.write_policy import Provenance
from genrify_tagger.store import FileRecord, GenreRow
from genrify_tagger.tags import Snapshot


@dataclass(frozen=True)
class ScanOptions:
    """What to do beyond the settings.

    Attributes
    ----------
    force : bool
        Write even where a genre that this program wrote was undone, removed or changed since.
    reanalyse : bool
        Analyse everything again, and let the result replace genres that this program wrote.
    retry_failed : bool
        Retry files that failed before and have not changed since.
    describe_unchanged : bool
        Whether the results of unchanged files say what the store has of them: that takes as long as all else.
    """

    force: bool = False
    reanalyse: bool = False
    retry_failed: bool = False
    describe_unchanged: bool = True


@dataclass(frozen=True, kw_only=True)
class FileTask:
    """A file to be processed.

    Attributes
    ----------
    path, target : str
        The file as it was found, and its real path with all symbolic links resolved.
    stat : FileStat
        Its fingerprint when it was found.
    record : FileRecord or None
        The store's record of `target`.
    present : tuple of str or None
        The genre according to another program's library; None if the file's own counts.
    provenance : Provenance
        What that program knows about how the genre came about.
    titles : Titles or None
        Title, artist and album according to that program; None to read them from the file.
    others : sequence of GenreRow
        Other files of its artist and album according to that program.
    found_at : float
        Since when (`time.monotonic`) the file is known to be at this path.
    """

    path: str
    target: str
    stat: FileStat
    record: FileRecord | None = None
    present: tuple[str, ...] | None = None
    provenance: Provenance = Provenance.NOT_WRITTEN
    titles: Titles | None = None
    others: Sequence[GenreRow] = ()
    found_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome for a file.

    Attributes
    ----------
    result : Result
        For display and export. If another program writes, "tagged" means that `after` should become the genre.
    stat : FileStat or None
        The file's fingerprint after the write; None if the file was never accessed.
    identity : Identity or None
        The song; None if it was not identified.
    genres_in_file : tuple of str
        The genres in the file before the write.
    titles : Titles
        Title, artist and album, if they were read.
    is_recorded : bool
        Whether another run changed the file and stores its outcome.
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
    """A genre to be written: the `result` if the write succeeds, and the `snapshot` that the file must still match."""

    task: FileTask
    snapshot: Snapshot
    audio_key: str
    result: Result


class Writer(Protocol):
    """Writes the decided genre, or leaves that to another program."""

    @property
    def remembers(self) -> bool:
        """Whether the engine stores the outcome. Not in a dry run, nor if another program may still move the file."""

    def names(self, session: Session, labels: Sequence[str], present: Sequence[str]) -> tuple[str, ...]:
        """Return the names to write for labels, best first, given the present genres."""

    def write(self, session: Session, request: WriteRequest) -> tuple[Result, FileStat]:
        """Write a genre, or plan the write; return the result and the file's fingerprint afterwards.

        Raises
        ------
        GenrifyError, OSError
            If nothing was written.
        """
