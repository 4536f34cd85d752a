"""The embedding of every segment of every clip, kept in the work folder because the body of the network is frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import synthetic_sounds
import synthetic_speech
from clips import SourceClip, analysed_segments
from genrify_tagger.audio import SEGMENT_SAMPLES, decode_all
from genrify_tagger.spectrogram import FRONT_END_ID, log_mel
from genrify_tagger.training.musicnn_weights import FloatArray, Weights
from shipped_network import feature_network

TRAINING_HOP = SEGMENT_SAMPLES // 2
BATCH = 8
FILE = "embeddings.npz"


@dataclass(frozen=True)
class SegmentEmbeddings:
    """Embeddings of segments, and the clips they belong to.

    Attributes
    ----------
    embedding : ndarray, shape (n_segments, 456)
    owner : ndarray of int, shape (n_segments,)
        Number of each segment's clip.
    """

    embedding: FloatArray
    owner: npt.NDArray[np.int64]

    def of_clips(self, clips: npt.NDArray[np.bool_]) -> SegmentEmbeddings:
        """Return the segments of the clips marked True; clips keep their numbers."""
        chosen = clips[self.owner]
        return SegmentEmbeddings(self.embedding[chosen], self.owner[chosen])


def embed_clips(
    clips: Sequence[SourceClip], shared: Path, weights: Weights, vgg_weights: Weights, work: Path
) -> tuple[SegmentEmbeddings, SegmentEmbeddings]:
    """Embed all clips twice, or read what an earlier run has stored for the same clips and weights.

    Returns
    -------
    training : SegmentEmbeddings
        A segment every 1.5 s.
    test : SegmentEmbeddings
        The segments that the tagger analyses.
    """
    digest = _digest(clips, weights, vgg_weights)
    if (stored := _read(work, digest)) is not None:
        return stored
    body = feature_network(weights, vgg_weights)
    training, test = (_embed(body, clips, shared, segments) for segments in (_training_segments, _test_segments))
    work.mkdir(parents=True, exist_ok=True)
    np.savez(
        work / FILE,
        digest=digest,
        training=training.embedding,
        training_owner=training.owner,
        test=test.embedding,
        test_owner=test.owner,
    )
    return training, test


def read_embeddings(work: Path) -> tuple[SegmentEmbeddings, SegmentEmbeddings]:
    """Read what `embed_clips` has stored."""
    with np.load(work / FILE) as stored:
        training, test = (SegmentEmbeddings(stored[part], stored[f"{part}_owner"]) for part in ("training", "test"))
    return training, test


def _read(work: Path, digest: str) -> tuple[SegmentEmbeddings, SegmentEmbeddings] | None:
    if not (work / FILE).exists():
        return None
    with np.load(work / FILE) as stored:
        same = str(stored["digest"]) == digest
    return read_embeddings(work) if same else None


def _digest(clips: Sequence[SourceClip], weights: Weights, vgg_weights: Weights) -> str:
    made = [synthetic_sounds.VERSION, synthetic_speech.VERSION]
    digest = hashlib.blake2b("\n".join([FRONT_END_ID, *made, *(clip.path for clip in clips)]).encode(), digest_size=8)
    for arrays in (weights, vgg_weights):
        digest.update(b"".join(np.ascontiguousarray(arrays[key]).tobytes() for key in sorted(arrays)))
    return digest.hexdigest()


def _embed(
    body: Any, clips: Sequence[SourceClip], shared: Path, segments: Callable[[SourceClip, Path], FloatArray]
) -> SegmentEmbeddings:
    rows = [_in_batches(body, log_mel(segments(clip, shared))) for clip in clips]
    owner = np.repeat(np.arange(len(clips)), [len(values) for values in rows])
    return SegmentEmbeddings(np.concatenate(rows), owner)


def _in_batches(body: Any, mel: FloatArray) -> FloatArray:
    """Compute embeddings in batches of one size, since Keras compiles a network anew for each size."""
    padded = np.pad(mel, ((0, -len(mel) % BATCH), (0, 0), (0, 0)))
    starts = range(0, len(padded), BATCH)
    rows = [np.asarray(body.predict_on_batch(padded[at : at + BATCH])["embedding"], np.float32) for at in starts]
    return np.concatenate(rows)[: len(mel)]


def _training_segments(clip: SourceClip, shared: Path) -> FloatArray:
    if clip.part == "synthetic":
        return synthetic_sounds.make_medley(clip.path)
    if clip.part == "speech":
        return synthetic_speech.make_passage(clip.path)
    y = decode_all(str(shared / "data" / clip.path))
    y = np.pad(y, (0, max(0, SEGMENT_SAMPLES - len(y))))
    return np.lib.stride_tricks.sliding_window_view(y, SEGMENT_SAMPLES)[::TRAINING_HOP]


def _test_segments(clip: SourceClip, shared: Path) -> FloatArray:
    return analysed_segments(clip.part, clip.path, shared)
