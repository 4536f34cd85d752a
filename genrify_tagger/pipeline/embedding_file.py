"""A file of all songs' embeddings, kept beside the database: what a search for similar songs reads.

Two files: of audio keys, and of vectors in the same order, each a unit embedding in 8-bit steps with their size (half a
kilobyte a song). Songs are only appended, the vector before the key, so that a process that is killed leaves at most
vectors without a key; the next one cuts them off. A lock on the file of keys orders processes: several search at once,
one adds. What the file says is near is only a candidate: see `EmbeddingIndex`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from genrify_tagger import open_files
from genrify_tagger.analysis import FloatArray

Keys = npt.NDArray[np.bytes_]  # sorted or in the order of the file

KEY_BYTES = 32
_STEPS = 127  # to either side of 0
_BLOCK = 2048  # vectors that are read at once
_FLAGS = os.O_RDWR | os.O_CREAT | open_files.BINARY


@dataclass(frozen=True, eq=False)
class EmbeddingFile:
    """The two files while their lock is held.

    Parameters
    ----------
    key_file, vector_file : binary file
        Opened for reading and writing.
    size : int
        Number of dimensions.
    """

    key_file: IO[bytes]
    vector_file: IO[bytes]
    size: int

    @property
    def _layout(self) -> np.dtype[np.void]:
        return np.dtype([("step", "<f4"), ("values", "i1", (self.size,))])

    def keys(self) -> Keys:
        """Return the audio keys of all songs, in the order of their vectors."""
        self.key_file.seek(0)
        data = self.key_file.read()
        whole = min(len(data) // KEY_BYTES, self._vector_bytes() // self._layout.itemsize)
        return np.frombuffer(data, f"S{KEY_BYTES}", whole)

    def append(self, songs: Iterable[tuple[list[str], FloatArray]]) -> None:
        """Append songs in batches of audio keys and embeddings, shape (n, size)."""
        there = len(self.keys())
        self.key_file.truncate(there * KEY_BYTES)
        self.vector_file.truncate(there * self._layout.itemsize)
        for file in (self.key_file, self.vector_file):
            file.seek(0, os.SEEK_END)
        for keys, embeddings in songs:
            self.vector_file.write(self._packed(embeddings))
            self.vector_file.flush()
            self.key_file.write(np.array(keys, f"S{KEY_BYTES}").tobytes())
            self.key_file.flush()

    def clear(self) -> None:
        """Remove all songs."""
        self.key_file.truncate(0)
        self.vector_file.truncate(0)

    def cosines(self, embedding: FloatArray) -> FloatArray:
        """Return the cosine similarity of each song to an embedding, to about 0.002."""
        wanted = unit(np.asarray(embedding, np.float32)[np.newaxis])[0]
        number = self._vector_bytes() // self._layout.itemsize
        found, wide = np.zeros(number, np.float32), np.zeros((_BLOCK, self.size), np.float32)
        self.vector_file.seek(0)
        for at in range(0, number, _BLOCK):
            rows = min(_BLOCK, number - at)
            block = np.frombuffer(self.vector_file.read(rows * self._layout.itemsize), self._layout)
            wide[:rows] = block["values"]
            # Not a product of matrices, which BLAS would spread over all processors, however busy they are.
            found[at : at + rows] = np.vecdot(wide[:rows], wanted) * block["step"]
        return found

    def _packed(self, embeddings: FloatArray) -> bytes:
        units = unit(embeddings)
        rows = np.zeros(len(units), self._layout)
        rows["step"] = np.maximum(np.abs(units).max(axis=1), 1e-9) / _STEPS
        rows["values"] = np.rint(units / rows["step"][:, np.newaxis])
        return rows.tobytes()

    def _vector_bytes(self) -> int:
        return os.fstat(self.vector_file.fileno()).st_size


@contextlib.contextmanager
def open_embedding_file(path: str, size: int, *, for_changes: bool) -> Iterator[EmbeddingFile]:
    """Open the two files, made if necessary, and hold their lock: one process changes them, or several read.

    Raises
    ------
    OSError
        If they cannot be made or opened.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.ExitStack() as stack:
        keys, vectors = (
            stack.enter_context(os.fdopen(os.open(f"{path}.{part}", _FLAGS, 0o644), "r+b"))
            for part in ("keys", "vectors")
        )
        open_files.wait_for_lock(keys.fileno(), shared=not for_changes)
        yield EmbeddingFile(keys, vectors, size)


def unit(embeddings: FloatArray) -> FloatArray:
    """Return embeddings, shape (n, n_dimensions), with length 1; those of length 0 as they are."""
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.where(lengths > 0, lengths, 1), np.float32)
