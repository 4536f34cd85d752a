"""What the networks' embedding is of every clip, kept in a cache folder since it never changes."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.audio import SEGMENT_SAMPLES, decode_all, load_segments
from genrify_tagger.spectrogram import FRONT_END_ID, log_mel
from genrify_tagger.training import speech, synthetic
from genrify_tagger.training.data import Clip
from genrify_tagger.training.export import listening_network
from genrify_tagger.training.musicnn import FloatArray, Weights

TRAINING_HOP = SEGMENT_SAMPLES // 2

BATCH = 8

Embed = Callable[[FloatArray], FloatArray]
Network = tuple[Sequence[Weights], Callable[[], Embed]]


@dataclass(frozen=True)
class Heard:
    """Embeddings of all segments of all clips.

    Attributes
    ----------
    embedding : ndarray, shape (n_segments, n_columns)
        456 columns from `listen`.
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

    def network() -> Embed:
        listening = listening_network(weights, vgg_weights)
        return lambda mel: np.asarray(listening.predict_on_batch(mel)["embedding"], np.float32)

    return hear_all(clips, shared, {"heard": ([weights, vgg_weights], network)}, cache)["heard"]


def hear_all(
    clips: Sequence[Clip], shared: Path, networks: Mapping[str, Network], cache: Path
) -> dict[str, tuple[Heard, Heard]]:
    """Hear all clips as `listen` does, with any networks.

    Parameters
    ----------
    clips : sequence of Clip
    shared, cache : Path
    networks : mapping of str to tuple
        By name, which their files in the cache begin with: the weights, which they are looked up by, and a function
        that returns what turns log-mel segments (n, 187, 96) into rows; it is only called if the cache lacks them.
    """
    files = {name: cache / f"{name}-{_digest(clips, trained)}.npz" for name, (trained, _) in networks.items()}
    lacking = {name: networks[name][1]() for name, path in files.items() if not path.exists()}
    arrays: dict[str, dict[str, Any]] = {name: {} for name in lacking}
    for part, cut in (("train", _to_train_on), ("judge", _to_judge_by)) if lacking else ():
        rows: dict[str, list[FloatArray]] = {name: [] for name in lacking}
        for clip in clips:
            mel = log_mel(cut(clip, shared))
            for name, embed in lacking.items():
                rows[name].append(_in_batches(embed, mel))
        for name, found in rows.items():
            owner = np.repeat(np.arange(len(clips)), [len(values) for values in found])
            arrays[name] |= {part: np.concatenate(found), f"{part}_owner": owner}
    cache.mkdir(parents=True, exist_ok=True)
    for name, stored in arrays.items():
        np.savez(files[name], **stored)
    return {name: _read(path) for name, path in files.items()}


def _digest(clips: Sequence[Clip], trained: Sequence[Weights]) -> str:
    made = [inspect.getsource(module) for module in (synthetic, speech)]
    facts = [FRONT_END_ID, *made, *(clip.path for clip in clips)]
    digest = hashlib.blake2b("\n".join(facts).encode(), digest_size=8)
    for weights in trained:
        digest.update(b"".join(np.ascontiguousarray(weights[key]).tobytes() for key in sorted(weights)))
    return digest.hexdigest()


def _read(path: Path) -> tuple[Heard, Heard]:
    with np.load(path) as stored:
        train, judge = (Heard(stored[part], stored[f"{part}_owner"]) for part in ("train", "judge"))
    return train, judge


def _in_batches(embed: Embed, mel: FloatArray) -> FloatArray:
    """Call a network with batches of one size, since it is compiled anew for every other."""
    padded = np.pad(mel, ((0, -len(mel) % BATCH), (0, 0), (0, 0)))
    rows = [embed(padded[start : start + BATCH]) for start in range(0, len(padded), BATCH)]
    return np.concatenate(rows)[: len(mel)]


def _to_train_on(clip: Clip, shared: Path) -> FloatArray:
    if clip.part == "synthetic":
        return synthetic.make_varied(clip.path)
    if clip.part == "speech":
        return speech.make(clip.path)
    y = decode_all(str(shared / "data" / clip.path))
    y = np.pad(y, (0, max(0, SEGMENT_SAMPLES - len(y))))
    return np.lib.stride_tricks.sliding_window_view(y, SEGMENT_SAMPLES)[::TRAINING_HOP]


def _to_judge_by(clip: Clip, shared: Path) -> FloatArray:
    if clip.part == "synthetic":
        return synthetic.make(clip.path)
    if clip.part == "speech":
        return speech.make(clip.path)
    return load_segments(str(shared / "data" / clip.path)).y
