"""Find the songs of the library that sound most like another, by cosine similarity of embeddings."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import FloatArray
from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import counted
from genrify_tagger.pipeline.embedding_file import KEY_BYTES, EmbeddingFile, Keys, open_embedding_file, unit
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord, database_file
from genrify_tagger.user_folders import user_folder

log = logging.getLogger(__name__)

_EXTRA = 50  # songs that are compared exactly beyond those wanted: the file is inexact, and some are gone
_DAMAGE = 0.05  # by how much the file's similarity differs from the exact one only if the file is damaged
_RECHECK_FACTOR = 20  # the file counts as up to date for this many times the time it took to find out
_MOST_GONE = 0.1  # share of songs in the file that the library has no more, beyond which it is made anew
_MANY = 0.1  # share of songs to add beyond which all are read, in the order in which they are stored
_TOLD = 20_000  # songs to add from which on progress is told


@dataclass(frozen=True)
class Neighbour:
    """A file, and the cosine similarity of its song to the one searched for."""

    record: FileRecord
    similarity: float


class _DamagedError(Exception):
    """The file of embeddings does not say what the database says."""


class EmbeddingIndex:
    """The embeddings of all songs that the session's model has analysed, in a file that follows the database.

    The file gives candidates, the database their exact similarity. A file that is stale or damaged shows by that, and
    is brought up to date or made anew. Safe to use from several threads and processes.

    Parameters
    ----------
    session : Session
        Whose store and model to use.
    on_progress : callable
        Called with the number of songs that were added to the file, and of those to add, if these are many.
    """

    def __init__(self, session: Session, on_progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        self._session = session
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._place = session.sidecar.analyses, session.front_end
        self._path = _path(session.settings.database.url, *self._place)
        self._next_check = 0.0
        try:
            with self._open(for_changes=False):
                pass
        except OSError:  # a read-only file system, for example: keep it as long as this process lives
            self._temporary = tempfile.TemporaryDirectory(prefix="genrify-")
            self._path = os.path.join(self._temporary.name, "embeddings")

    def nearest(self, embedding: FloatArray, *, count: int, but_not: str | None = None) -> list[Neighbour]:
        """Return the files whose songs sound most like an embedding, the nearest first.

        Parameters
        ----------
        embedding : ndarray, shape (n_dimensions,)
        count : int
            Maximum number.
        but_not : str or None
            The audio key of a song to leave out: the one searched for.

        Raises
        ------
        GenrifyError
            If the file cannot be written.
        """
        self._update()
        try:
            return self._search(embedding, count, but_not)
        except _DamagedError:
            self._update(anew=True)
            return self._search(embedding, count, but_not)

    def _search(self, embedding: FloatArray, count: int, but_not: str | None) -> list[Neighbour]:
        with self._open(for_changes=False) as file:
            keys = file.keys()
            cosines = file.cosines(embedding)[: len(keys)]
        most = 2 * count + _EXTRA
        while True:
            candidates = {keys[row].decode(): float(cosines[row]) for row in _largest(cosines, most)}
            candidates.pop(but_not or "", None)
            found = self._neighbours(self._exact(embedding, candidates))
            if len(found) >= count or most >= len(keys):
                return found[:count]
            most *= 4

    def _exact(self, embedding: FloatArray, candidates: dict[str, float]) -> dict[str, float]:
        """Return the similarity of songs by the database's embeddings; those that it does not have are left out."""
        wanted = unit(np.asarray(embedding, np.float32)[np.newaxis])[0]
        found: dict[str, float] = {}
        for keys, embeddings in self._session.store.embeddings(*self._place, candidates):
            found.update(zip(keys, map(float, unit(embeddings) @ wanted), strict=True))
        if any(abs(similarity - candidates[key]) > _DAMAGE for key, similarity in found.items()):
            raise _DamagedError
        return found

    def _neighbours(self, similarity: dict[str, float]) -> list[Neighbour]:
        """Return a file of each song that has one, the nearest first."""
        found: dict[str, FileRecord] = {}
        for record in self._session.store.files_of_songs(list(similarity)):
            key = record.audio_key or ""
            if key not in found and os.path.lexists(record.path):
                found[key] = record
        ranked = sorted(found.items(), key=lambda item: (-similarity[item[0]], item[1].path))
        return [Neighbour(record, similarity[key]) for key, record in ranked]

    def _update(self, *, anew: bool = False) -> None:
        """Add the songs that were analysed since, unless that was looked at just now; or make the file anew."""
        with self._lock:
            started = time.monotonic()
            if started < self._next_check and not anew:
                return
            keys = self._session.store.song_keys(*self._place)
            with self._open(for_changes=False) as file:
                is_current = not anew and _are_same(file.keys(), keys)
            if not is_current:
                self._write(keys, anew=anew)
            self._next_check = time.monotonic() + _RECHECK_FACTOR * (time.monotonic() - started)

    def _write(self, keys: Keys, *, anew: bool) -> None:
        try:
            with self._open(for_changes=True) as file:
                there = np.sort(file.keys(), kind="stable")
                if anew or np.count_nonzero(~_are_in(there, keys)) > _MOST_GONE * len(there):
                    file.clear()
                    there = there[:0]
                missing = [key.decode() for key in keys[~_are_in(keys, there)].tolist()]
                if len(missing) >= _TOLD:
                    log.info("reading the sound of %s for this and later searches", counted(len(missing), "song"))
                file.append(self._embeddings(missing, len(keys)))
        except OSError as error:
            reason = f"the embeddings of the library cannot be written: {error.strerror}"
            raise GenrifyError(reason, path=self._path, hint="make room on that disk") from error

    def _embeddings(self, keys: list[str], total: int) -> Iterator[tuple[list[str], FloatArray]]:
        wanted, done = set(keys), 0
        reads_all = len(keys) > _MANY * total
        for names, embeddings in self._session.store.embeddings(*self._place, None if reads_all else keys):
            rows = [row for row, name in enumerate(names) if name in wanted]
            yield [names[row] for row in rows], embeddings[rows]
            done += len(rows)
            if len(keys) >= _TOLD:
                self._on_progress(done, len(keys))

    def _open(self, *, for_changes: bool) -> AbstractContextManager[EmbeddingFile]:
        return open_embedding_file(self._path, self._session.sidecar.embedding_size, for_changes=for_changes)


def _path(url: str, model: str, front_end: str) -> str:
    """Return where the file is: beside an SQLite database; for one on a server, in the user's cache."""
    place = hashlib.blake2b(f"{model} {front_end}".encode(), digest_size=8).hexdigest()
    file = database_file(url)
    if file is not None:
        return os.path.join(f"{file}.embeddings", place)
    database = hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
    return os.path.join(user_folder("cache"), "embeddings", database, place)


def _are_same(keys: Keys, others: Keys) -> bool:
    """Return whether two collections of digests are equal but for their order, by the sums of their parts."""
    if len(keys) != len(others):
        return False
    sums = (digests.view(np.uint64).reshape(-1, KEY_BYTES // 8).sum(axis=0) for digests in (keys, others))
    return np.array_equal(*sums)


def _are_in(keys: Keys, others: Keys) -> npt.NDArray[np.bool_]:
    """Return which of some keys are among others; both are sorted."""
    if not len(others):
        return np.zeros(len(keys), bool)
    found = np.minimum(np.searchsorted(others, keys), len(others) - 1)
    return np.asarray(others[found] == keys)


def _largest(values: FloatArray, count: int) -> list[int]:
    """Return the rows of the largest values, in no order."""
    if count >= len(values):
        return list(range(len(values)))
    return [int(row) for row in np.argpartition(values, -count)[-count:]]
