"""Music decoded once: 16 kHz mono samples in a cache folder, so that training and judging need no decoder.

An entry is a float16 array (about 2 MB a minute), named after the file's path and fingerprint, so a changed file is
decoded anew. Float16 keeps 11 bits whatever the level: its noise lies below what the log-mel front end can see.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError
from genrify_tagger.files import file_stat
from genrify_tagger.training.datasets import Clip, SkippedFile
from genrify_tagger.training.parallel import each

CACHE_VERSION = 1
SAMPLE_RATE = 16000
SEGMENT_SAMPLES = 48000
SHORTEST = SAMPLE_RATE // 2  # samples; less is no music to learn from

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Decoded:
    """A clip and where its samples are."""

    clip: Clip
    samples: Path

    def load(self) -> npt.NDArray[np.float16]:
        """Return the samples, float16 of shape (n,), mapped into memory and not read yet."""
        mapped: npt.NDArray[np.float16] = np.load(self.samples, mmap_mode="r")
        return mapped


def default_cache() -> Path:
    """Return the folder used when no other is named."""
    from genrify_tagger.user_folders import user_folder

    return Path(user_folder("cache")) / "decoded"


def decode(
    clips: Sequence[Clip], cache: Path | None = None, *, jobs: int = 0, progress: bool = True
) -> tuple[list[Decoded], list[SkippedFile]]:
    """Decode whatever is not in the cache yet.

    Returns
    -------
    decoded : list of Decoded
        In the order of the clips, without the broken ones.
    problems : list of Problem
        The broken ones, and why.
    """
    folder = cache or default_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"no cache can be kept there: {error.strerror}", path=str(folder)) from error
    entries = [Decoded(clip, folder / _entry_name(clip.path)) for clip in clips]
    absent = [entry for entry in entries if not entry.samples.exists()]
    tasks = [(entry.clip.path, str(entry.samples)) for entry in absent]
    title = "Decoding" if progress else ""
    problems = [
        SkippedFile(task[0], reason) for task, _, reason in each(decode_one, tasks, jobs=jobs, title=title) if reason
    ]
    broken = {problem.path for problem in problems}
    return [entry for entry in entries if entry.clip.path not in broken], problems


def decode_one(task: tuple[str, str]) -> None:
    """Decode one file into the cache; runs in a process of its own."""
    from genrify_tagger.audio import decode_all
    from genrify_tagger.errors import DecodeError

    path, target = task
    y = decode_all(path)
    if len(y) < SHORTEST:
        raise DecodeError("less than half a second of audio in it", path=path)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(target), suffix=".partial", delete=False) as file:
        np.save(file, y.astype(np.float16))
    os.replace(file.name, target)


def cut(y: npt.NDArray[np.float16], start: int) -> FloatArray:
    """Return the segment of 3 s that begins at a sample, filled up with zeros, float32 of shape (48000,)."""
    segment = np.zeros(SEGMENT_SAMPLES, np.float32)
    piece = y[start : start + SEGMENT_SAMPLES]
    segment[: len(piece)] = piece
    return segment


def tile(y: npt.NDArray[np.float16], *, hop: int = SEGMENT_SAMPLES) -> FloatArray:
    """Cut a clip into segments of 3 s, shape (n, 48000); what is left at the end is dropped unless it is all."""
    last = max(0, len(y) - SEGMENT_SAMPLES)
    return np.stack([cut(y, start) for start in range(0, last + 1, hop)])


def tiled_mel(entry: Decoded, *, hop: int = SEGMENT_SAMPLES) -> FloatArray:
    """Return the log-mel spectrograms of a clip's segments, shape (n, 187, 96)."""
    from genrify_tagger.spectrogram import log_mel

    return log_mel(tile(entry.load(), hop=hop))


def _entry_name(path: str) -> str:
    try:
        stat = file_stat(path)
        content = f"{CACHE_VERSION}\0{SAMPLE_RATE}\0{stat.size}\0{stat.mtime_ns}\0".encode()
    except OSError:
        content = b""  # decoding will say what is wrong with it
    return hashlib.blake2b(content + os.fsencode(os.path.abspath(path)), digest_size=16).hexdigest() + ".npy"
