"""The features of every clip and of altered copies of it, by the shipped network and as the tagger stores them.

Copies differ in bandwidth, codec, loudness and tone. Four kinds are trained on; with a random low pass and Opus they
are also the guard: a copy of a song must not turn to another genre.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import synthetic_sounds
import synthetic_speech
from clips import analysed_segments
from genrify_tagger.analysis import FloatArray
from genrify_tagger.classifier import Classifier
from genrify_tagger.decision import song_features
from genrify_tagger.spectrogram import FRONT_END_ID, log_mel
from genrify_tagger.store import as_stored
from genrify_tagger.training.augmentation import equalise, limit_band, recode
from genrify_tagger.worker_main import levels_of, summarise
from tree_clips import TreeClip

ORIGINAL = "original"
TRAINED_COPIES = {
    "eq": "equaliser, up to 7 dB either way at four points, -6 to +3 dB in all",
    "lp4": "low pass at 3.9 kHz",
    "mp3": "MP3 at 24 kbit/s",
    "gain": "4 to 10 dB louder, clipped",
}
COPIES = {**TRAINED_COPIES, "lp": "low pass between 2.8 and 7 kHz", "opus": "Opus at 24 kbit/s"}
FILE = "tree_features.npz"  # in the work folder

Array = npt.NDArray[Any]


def compute_features(clips: Sequence[TreeClip], shared: Path, work: Path) -> None:
    """Compute and store the features of all clips and copies, unless those of these clips and network are stored."""
    path, network = work / FILE, Classifier()
    digest = _digest(clips, network.sidecar.sha256)
    if path.exists():
        with np.load(path) as stored:
            if str(stored["digest"]) == digest:
                return
    found = [clip_features(clip, shared, network) for clip in clips]
    table: dict[str, Any] = {copy: np.stack([row[copy] for row in found]) for copy in (ORIGINAL, *COPIES)}
    np.savez(path, digest=digest, paths=np.array([clip.path for clip in clips]), **table)


def read_features(work: Path) -> dict[str, Array]:
    """Return the features by copy, each of shape (n_clips, 962)."""
    with np.load(work / FILE) as stored:
        return {copy: stored[copy].astype(np.float64) for copy in (ORIGINAL, *COPIES)}


def _digest(clips: Sequence[TreeClip], network_sha256: str) -> str:
    made = [synthetic_sounds.VERSION, synthetic_speech.VERSION]
    names = [FRONT_END_ID, network_sha256, *made, *(clip.path for clip in clips)]
    return hashlib.blake2b("\n".join(names).encode(), digest_size=8).hexdigest()


def clip_features(clip: TreeClip, shared: Path, network: Classifier) -> dict[str, FloatArray]:
    """Return the features of a clip and its copies, each of shape (962,)."""
    y = analysed_segments(clip.part, clip.path, shared)
    return {copy: _song_features(altered(y, copy, clip.path), network) for copy in (ORIGINAL, *COPIES)}


def _song_features(y: FloatArray, network: Classifier) -> FloatArray:
    analysis = as_stored(summarise(0.0, np.zeros((len(y), 2), np.float32), levels_of(y), network.predict(log_mel(y))))
    assert analysis.spread is not None
    return song_features(analysis.embedding, analysis.spread, analysis.tags).astype(np.float32)


def altered(y: FloatArray, copy: str, name: str) -> FloatArray:
    """Return segments altered as `copy` says; the same for the same name.

    Parameters
    ----------
    y : ndarray, shape (n_segments, 48000)
    copy : str
        A key of `COPIES`, or `ORIGINAL`.
    name : str
        Of the clip.
    """
    rng = np.random.default_rng([zlib.crc32(name.encode()), zlib.crc32(copy.encode())])
    if copy == "eq":
        gains = rng.uniform(-7, 7, 4)
        y = np.stack([equalise(segment, gains) for segment in y]) * 10 ** (rng.uniform(-6, 3) / 20)
    elif copy in ("lp4", "lp"):
        cutoff = 3900.0 if copy == "lp4" else rng.uniform(2800, 7000)
        y = np.stack([limit_band(segment, cutoff) for segment in y])
    elif copy in ("mp3", "opus"):
        y = recode(y.reshape(-1), {"mp3": "libmp3lame", "opus": "libopus"}[copy], 24).reshape(y.shape)
    elif copy == "gain":
        y = np.clip(y * 10 ** (rng.uniform(4, 10) / 20), -1, 1)
    return y.astype(np.float32)
