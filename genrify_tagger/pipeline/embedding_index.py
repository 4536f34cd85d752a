"""Find the songs of the library that sound most like another: exact search by cosine similarity of embeddings."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import FloatArray
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord

_ROWS = 8192  # multiplied at once: half-precision numbers are widened block by block, not all together
_EXTRA = 20  # songs looked up beyond those wanted, because the files of some are gone
_REREAD_FACTOR = 20  # during a scan, the embeddings are used for this many times the time it takes to read them


@dataclass(frozen=True)
class Neighbour:
    """A file, and the cosine similarity of its song to the one searched for."""

    record: FileRecord
    similarity: float


class EmbeddingIndex:
    """The embeddings of all songs that the session's model has analysed, in memory: 0.9 KB per song.

    Safe to use from several threads.

    Parameters
    ----------
    session : Session
        Whose store and model to use.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._keys: list[str] = []
        self._matrix: npt.NDArray[np.float16] = np.zeros((0, 0), np.float16)
        self._count = -1
        self._next = 0.0

    def nearest(self, embedding: FloatArray, *, count: int, but_not: str | None = None) -> list[Neighbour]:
        """Return the files whose songs sound most like an embedding, the nearest first.

        Parameters
        ----------
        embedding : ndarray, shape (n_dimensions,)
        count : int
            Maximum number.
        but_not : str or None
            The audio key of a song to leave out: the one searched for.
        """
        keys, matrix = self._current()
        if not keys:
            return []
        cosines = _cosines(matrix, embedding)
        best = _largest(cosines, count + _EXTRA)
        similarity = {keys[row]: float(cosines[row]) for row in best if keys[row] != but_not}
        found: dict[str, FileRecord] = {}
        for record in self._session.store.files_of_songs(list(similarity)):
            key = record.audio_key or ""
            if key not in found and os.path.lexists(record.path):
                found[key] = record
        ranked = sorted(found.items(), key=lambda item: (-similarity[item[0]], item[1].path))
        return [Neighbour(record, similarity[key]) for key, record in ranked[:count]]

    def _current(self) -> tuple[list[str], npt.NDArray[np.float16]]:
        """Return audio keys and unit embeddings, read again if songs were analysed or deleted since."""
        with self._lock:
            started = time.monotonic()
            if started >= self._next:
                count = self._session.store.count_analyses(self._session.sidecar.analyses, self._session.front_end)
                if count != self._count:
                    self._read(count)
                self._next = time.monotonic() + _REREAD_FACTOR * (time.monotonic() - started)
            return self._keys, self._matrix

    def _read(self, count: int) -> None:
        keys: list[str] = []
        # Filled in place: a list of rows would take up as much memory again.
        matrix = np.zeros((count, self._session.sidecar.embedding_size), np.float16)
        for key, embedding in self._session.store.embeddings(self._session.sidecar.analyses, self._session.front_end):
            if len(keys) == count:
                break  # analysed since they were counted: read next time
            matrix[len(keys)] = _unit(embedding)
            keys.append(key)
        self._keys, self._matrix, self._count = keys, matrix[: len(keys)], count


def _unit(embedding: FloatArray) -> FloatArray:
    length = float(np.linalg.norm(embedding))
    return embedding / np.float32(length) if length else embedding


def _cosines(matrix: npt.NDArray[np.float16], embedding: FloatArray) -> FloatArray:
    wanted = _unit(np.asarray(embedding, np.float32))
    blocks = range(0, len(matrix), _ROWS)
    return np.concatenate([matrix[i : i + _ROWS].astype(np.float32) @ wanted for i in blocks])


def _largest(values: FloatArray, count: int) -> list[int]:
    """Return the rows of the largest values, in no order."""
    if count >= len(values):
        return list(range(len(values)))
    return [int(row) for row in np.argpartition(values, -count)[-count:]]
