"""A cache of decoded audio, 16 kHz mono, so that training decodes each clip once.

An entry is a float16 array (about 2 MB a minute), named after the file's path, size and modification time, so that a
changed file is decoded again. Float16 has 11 significant bits at any level; its rounding noise is below what the
log-mel front end resolves.
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
from genrify_tagger.training.process_map import map_in_processes

CACHE_VERSION = 1
SAMPLE_RATE = 16000
SEGMENT_SAMPLES = 48000
SHORTEST = SAMPLE_RATE // 2  # samples; anything shorter is left out

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DecodedClip:
    """A clip and the path of its decoded samples."""

    clip: Clip
    samples: Path

    def load(self) -> npt.NDArray[np.float16]:
        """Return the samples, float16 of shape (n,), memory-mapped."""
        mapped: npt.NDArray[np.float16] = np.load(self.samples, mmap_mode="r")
        return mapped


def default_cache() -> Path:
    """Return the default cache folder."""
    from genrify_tagger.user_folders import user_folder

    return Path(user_folder("cache")) / "decoded"


def decode_clips(
    clips: Sequence[Clip], cache: Path | None = None, *, jobs: int = 0, progress: bool = True
) -> tuple[list[DecodedClip], list[SkippedFile]]:
    """Decode the clips that are not in the cache yet.

    Returns
    -------
    decoded : list of DecodedClip
        In the order of the clips, without those that failed.
    problems : list of SkippedFile
        Those that failed, and why.
    """
    folder = cache or default_cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"the cache folder cannot be created: {error.strerror}", path=str(folder)) from error
    entries = [DecodedClip(clip, folder / _entry_name(clip.path)) for clip in clips]
    absent = [entry for entry in entries if not entry.samples.exists()]
    tasks = [(entry.clip.path, str(entry.samples)) for entry in absent]
    title = "Decoding" if progress else ""
    problems = [
        SkippedFile(task[0], reason)
        for task, _, reason in map_in_processes(decode_file, tasks, jobs=jobs, title=title)
        if reason
    ]
    broken = {problem.path for problem in problems}
    return [entry for entry in entries if entry.clip.path not in broken], problems


def decode_file(task: tuple[str, str]) -> None:
    """Decode one file into the cache; runs in a process of its own."""
    from genrify_tagger.audio import decode_all
    from genrify_tagger.errors import DecodeError

    path, target = task
    y = decode_all(path)
    if len(y) < SHORTEST:
        raise DecodeError("has less than half a second of audio", path=path)
    with tempfile.NamedTemporaryFile(dir=os.path.dirname(target), suffix=".partial", delete=False) as file:
        np.save(file, y.astype(np.float16))
    os.replace(file.name, target)


def cut_segment(y: npt.NDArray[np.float16], start: int) -> FloatArray:
    """Return the 3-second segment that starts at a sample, zero-padded, float32 of shape (48000,)."""
    segment = np.zeros(SEGMENT_SAMPLES, np.float32)
    piece = y[start : start + SEGMENT_SAMPLES]
    segment[: len(piece)] = piece
    return segment


def cut_segments(y: npt.NDArray[np.float16], *, hop: int = SEGMENT_SAMPLES) -> FloatArray:
    """Cut a clip into 3-second segments, shape (n, 48000); a shorter rest is dropped unless it is the whole clip."""
    last = max(0, len(y) - SEGMENT_SAMPLES)
    return np.stack([cut_segment(y, start) for start in range(0, last + 1, hop)])


def _entry_name(path: str) -> str:
    try:
        stat = file_stat(path)
        content = f"{CACHE_VERSION}\0{SAMPLE_RATE}\0{stat.size}\0{stat.mtime_ns}\0".encode()
    except OSError:
        content = b""  # decoding will report the error
    return hashlib.blake2b(content + os.fsencode(os.path.abspath(path)), digest_size=16).hexdigest() + ".npy"
