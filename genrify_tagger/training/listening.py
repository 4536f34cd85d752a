"""What the networks' embedding is of every clip, kept in a cache folder since it never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.audio import SEGMENT_SAMPLES, decode_all, load_segments
from genrify_tagger.features import FRONT_END_ID, log_mel
from genrify_tagger.training import speech, synthetic
from genrify_tagger.training.data import Clip
from genrify_tagger.training.export import listening_network
from genrify_tagger.training.musicnn import FloatArray, Weights

TRAINING_HOP = SEGMENT_SAMPLES // 2


@dataclass(frozen=True)
class Heard:
    """Embeddings of all segments of all clips.

    Attributes
    ----------
    embedding : ndarray, shape (n_segments, 456)
    owner : ndarray of int, shape (n_segments,)
        Number of the clip each segment is of.
    """

    embedding: FloatArray
    owner: npt.NDArray[np.int64]

    def of(self, clips: npt.NDArray[np.bool_]) -> Heard:
        """Return the segments of the clips marked True; clips keep their numbers."""
        chosen = clips[self.owner]
        return Heard(self.embedding[chosen], self.owner[chosen])


def listen(
    clips: Sequence[Clip], shared: Path, weights: Weights, vgg_weights: Weights, cache: Path
) -> tuple[Heard, Heard]:
    """Hear all clips twice: every 1.5 s, to be trained on, and as the program will hear them, to be judged by.

    Returns
    -------
    tuple of Heard
        For training and for judging.
    """
    digest = hashlib.blake2b("\n".join([FRONT_END_ID, *(clip.path for clip in clips)]).encode(), digest_size=8)
    for trained in (weights, vgg_weights):
        digest.update(b"".join(np.ascontiguousarray(trained[name]).tobytes() for name in sorted(trained)))
    kept = cache / f"heard-{digest.hexdigest()}.npz"
    if not kept.exists():
        network = listening_network(weights, vgg_weights)
        arrays: dict[str, Any] = {}
        for name, cut in (("train", _dense_segments), ("judge", _sought_segments)):
            rows = [_embed(network, _segments(clip, shared, cut)) for clip in clips]
            arrays[name] = np.concatenate(rows)
            arrays[f"{name}_owner"] = np.repeat(np.arange(len(clips)), [len(row) for row in rows])
        cache.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **arrays)
    with np.load(kept) as stored:
        train, judge = (Heard(stored[name], stored[f"{name}_owner"]) for name in ("train", "judge"))
    return train, judge


def _segments(clip: Clip, shared: Path, cut: Callable[[str], FloatArray]) -> FloatArray:
    if clip.part == "synthetic":
        return synthetic.make(clip.path)
    if clip.part == "speech":
        return speech.make(clip.path)
    return cut(str(shared / "data" / clip.path))


def _dense_segments(path: str) -> FloatArray:
    y = decode_all(path)
    y = np.pad(y, (0, max(0, SEGMENT_SAMPLES - len(y))))
    return np.lib.stride_tricks.sliding_window_view(y, SEGMENT_SAMPLES)[::TRAINING_HOP]


def _sought_segments(path: str) -> FloatArray:
    return load_segments(path).y


def _embed(network: Any, y: FloatArray) -> FloatArray:
    return np.asarray(network.predict_on_batch(log_mel(y))["embedding"], np.float32)
