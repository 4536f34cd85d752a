"""What runs inside a worker process: decoding, features, network, and the limits that it sets for itself.

The parent imports this module only to name its functions; libraries are imported inside them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from genrify_tagger.analysis import SILENCE, Analysis, ByteArray, FloatArray, Picture, Shortfall, Sound
from genrify_tagger.errors import GenrifyError, ModelError, WorkerError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from genrify_tagger.classifier import Classifier
    from genrify_tagger.tags.mutagen_check import Comparison

T = TypeVar("T")

PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # terminals and service managers send these to all processes
TAKEN = "taken"
STDERR_LIMIT = 1 << 20  # bytes; workers write to no other file


@dataclass(frozen=True)
class Limits:
    """What one worker process may use.

    Attributes
    ----------
    time_limit : float
        Seconds for one file.
    memory_limit : int
        Bytes of address space beyond what the process has after warm-up.
    """

    time_limit: float = 30.0
    memory_limit: int = 512 << 20


class _Analyser:
    """The state of a worker: its model, and the number of segments."""

    def __init__(self, sidecar: str | None, segments: int) -> None:
        self._sidecar = sidecar
        self.segments = segments

    @functools.cached_property
    def classifier(self) -> Classifier:
        from genrify_tagger.classifier import Classifier

        return Classifier(self._sidecar)


_analyser: _Analyser | None = None


def warm_up(sidecar: str | None, segments: int, limits: Limits, stderr: int | None) -> None:
    """Prepare a new process: load the libraries and the model, then limit its time and memory.

    Parameters
    ----------
    sidecar : str or None
        Path of the model's sidecar; None for the shipped model.
    segments : int
        Number of segments to analyse per song.
    limits : Limits
        What the process may use from here on.
    stderr : int or None
        Descriptor to which what C libraries print shall go, instead of this process's stderr.
    """
    global _analyser
    for number in PARENTS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENTS_SIGNALS)
    _die_with_parent()
    if stderr is not None:
        os.dup2(stderr, 2)
        os.close(stderr)
    _analyser = _Analyser(sidecar, segments)
    from threadpoolctl import threadpool_limits

    from genrify_tagger import audio, spectrogram  # noqa: F401 - so that the limit is set after they are loaded

    threadpool_limits(1)
    # A model that does not load must be the task's error.
    with contextlib.suppress(ModelError):
        _ = _analyser.classifier
    _limit_memory(limits.memory_limit)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _limit_memory(extra: int) -> None:
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_FSIZE, (STDERR_LIMIT, STDERR_LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(pipe: Connection[Any, Any], sidecar: str | None, segments: int, limits: Limits, stderr: int | None) -> None:
    """Prepare a new process, report that it is ready, then do tasks until the parent closes the pipe.

    Parameters
    ----------
    pipe : Connection
        Tasks come from it (callables). Each is answered twice: `TAKEN` before it is begun, then its value or its error.
    sidecar, segments, limits, stderr
        As for `warm_up`.
    """
    warm_up(sidecar, segments, limits, stderr)
    # The parent may be gone.
    with contextlib.suppress(EOFError, ConnectionError):
        pipe.send(True)
        while True:
            task = pipe.recv()
            # From here on, if this process dies, it is the task's fault.
            pipe.send(TAKEN)
            pipe.send(outcome(task))


def outcome(task: Callable[[], T]) -> T | Exception:
    """Do a task and return its value, or its error in a form that can be pickled."""
    try:
        return task()
    except MemoryError:
        return MemoryError()  # FFmpeg's own does not survive pickling
    except GenrifyError as error:
        return error
    except Exception as error:  # noqa: BLE001
        # Whatever a library raises on a file makes that file fail, but does not stop the run.
        return WorkerError(f"could not be analysed ({type(error).__name__}: {error})")


def probe(path: str) -> Sound:
    """Compute the audio key and duration of a file, without decoding it."""
    from genrify_tagger import audio

    return audio.probe(path)


def examine(path: str, longest: float) -> tuple[Sound, dict[str, str] | None, Analysis | None]:
    """Return the results of `probe`, `read_titles` and `analyse`; None for what fails, or is longer (seconds)."""
    sound = probe(path)
    titles, analysis = None, None
    with contextlib.suppress(GenrifyError):
        titles = read_titles(path)
    with contextlib.suppress(GenrifyError):
        analysis = analyse(path, sound.duration) if sound.duration <= longest else None
    return sound, titles, analysis


def audio_key(path: str) -> str:
    """Return what `probe` tells audio apart by."""
    from genrify_tagger import audio

    return audio.audio_key(path)


def has_audio_of(path: str, former: str, key: str) -> bool:
    """Tell whether a file has the same audio as another one, whose audio key is `key`."""
    from genrify_tagger import audio

    return audio.has_audio_of(path, former, key)


def find_shortfall(path: str) -> Shortfall | None:
    """Return how much of a file is there if it is incomplete, else None."""
    from genrify_tagger import audio

    return audio.find_shortfall(path)


def compare_tags(container: str, field: str, former: str, fresh: str) -> Comparison:
    """Compare the tags of two files, except for the genre."""
    from genrify_tagger.tags.mutagen_check import compare_fields

    return compare_fields(container, field, former, fresh)


def analyse(path: str, duration: float) -> Analysis:
    """Analyse a file of known duration (seconds)."""
    from genrify_tagger import audio, spectrogram

    assert _analyser is not None
    classifier = _analyser.classifier
    segments = audio.load_segments(path, n_segments=_analyser.segments, duration=duration)
    outputs = classifier.predict(spectrogram.log_mel(segments.y))
    return summarise(duration, segments.intervals, levels_of(segments.y), outputs)


def summarise(
    duration: float, intervals: FloatArray, levels: FloatArray, outputs: Mapping[str, FloatArray]
) -> Analysis:
    """Combine the network's outputs for a song's segments: tags and embedding pooled, the others unchanged."""
    audible = levels > SILENCE
    if not audible.any():
        audible[:] = True
    tags, embedding = outputs["tags"][audible], outputs["embedding"][audible]
    return Analysis(
        duration=duration,
        intervals=intervals,
        levels=levels,
        outputs={name: values for name, values in outputs.items() if name not in ("tags", "embedding")},
        tags=tags.mean(axis=0),
        embedding=embedding.mean(axis=0),
        spread=embedding.std(axis=0, ddof=1) if len(embedding) > 1 else np.zeros_like(embedding[0]),
    )


def levels_of(y: FloatArray) -> FloatArray:
    """RMS level of each row, dB relative to full scale, not below -120."""
    power = np.mean(np.square(y, dtype=np.float64), axis=1)
    levels: FloatArray = (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)
    return levels


def read_titles(path: str) -> dict[str, str]:
    """Return the title, artist and album in a file's tags."""
    from genrify_tagger import audio

    return audio.read_titles(path)


def read_cover(path: str, size: int) -> bytes | None:
    """Return the picture embedded in a file as a small JPEG; None if there is none."""
    from genrify_tagger import audio

    return audio.read_cover(path, size)


def to_opus(path: str) -> bytes:
    """Return a song transcoded to a format that browsers play."""
    from genrify_tagger import audio

    return audio.to_opus(path)


def render_pictures(path: str, columns: int) -> Picture:
    """Render waveform and spectrogram of a whole song, in at most so many columns; see `Picture`."""
    from genrify_tagger import audio

    y = audio.decode_all(path)
    edges = np.linspace(0, len(y), min(columns, -(-len(y) // _COLUMN_SAMPLES)) + 1).astype(np.int64)
    starts = edges[:-1]
    peaks = np.maximum.reduceat(np.abs(y), starts)
    power = np.add.reduceat(np.square(y), starts) / np.diff(edges)
    loudest = float(peaks.max()) or 1.0
    return Picture(
        duration=len(y) / audio.SAMPLE_RATE,
        peaks=_bytes(peaks / loudest),
        levels=_bytes(np.sqrt(power) / loudest),
        mel=_mel_columns(y, starts),
    )


_COLUMN_SAMPLES = 256  # a column is never narrower than a frame of the spectrogram
_AT_ONCE = 8  # segments whose spectrograms are computed together


def _mel_columns(y: FloatArray, starts: np.ndarray[Any, np.dtype[np.int64]]) -> ByteArray:
    """Return the loudest moment of each column in each band, the highest band first."""
    from genrify_tagger import audio, spectrogram

    length = audio.SEGMENT_SAMPLES
    segments = np.pad(y, (0, -len(y) % length)).reshape(-1, length)
    parts = [spectrogram.log_mel(segments[i : i + _AT_ONCE]) for i in range(0, len(segments), _AT_ONCE)]
    frames = np.concatenate(parts)
    per_segment = frames.shape[1]
    first = np.minimum(
        starts // length * per_segment + starts % length * per_segment // length, frames[..., 0].size - 1
    )
    columns = np.maximum.reduceat(frames.reshape(-1, frames.shape[2]), first)
    return _bytes(columns.T[::-1] / (float(columns.max()) or 1.0))


def _bytes(values: np.ndarray[Any, np.dtype[np.floating]]) -> ByteArray:
    """Scale values from 0 to 1 to whole numbers from 0 to 255."""
    scaled: ByteArray = (np.clip(values, 0, 1) * 255).round().astype(np.uint8)
    return scaled
