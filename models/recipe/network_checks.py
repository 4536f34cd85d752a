"""Checks on real clips: the port against the published tags, the fast forms against the port, LiteRT against Keras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clips import NO_MUSIC, SourceClip
from genrify_tagger.audio import SEGMENT_SAMPLES, decode_all, load_segments
from genrify_tagger.spectrogram import FRONT_END, log_mel
from genrify_tagger.training.musicnn_weights import FloatArray

TAGGRAMS = "data/taggrams/gtzan_train_filtered_msd_musicnn.npz"
# The published hop of "one second", in samples, after librosa's rounding to frames.
TAGGRAM_HOP = 61 * FRONT_END.hop_length


def taggram_correlation(network: Any, clips: Sequence[SourceClip], shared: Path) -> FloatArray:
    """Correlate a network's tags with the published ones, window by window.

    Parameters
    ----------
    network : keras.Model
        From `published_networks`.
    clips : sequence of SourceClip
        Those of GTZAN's train list are used.
    shared : Path
        Folder with `data/`.

    Returns
    -------
    ndarray, shape (n_windows,)
    """
    with np.load(shared / TAGGRAMS) as stored:
        published, ids = stored["X"], stored["IDS"]
    found = []
    for clip in clips:
        if clip.part != "gtzan_train":
            continue
        path = Path(clip.path)
        published_tags = published[ids == f"{path.parent.name}/{path.stem}.au"]
        y = decode_all(str(shared / "data" / clip.path))
        windows = np.lib.stride_tricks.sliding_window_view(y, SEGMENT_SAMPLES)[::TAGGRAM_HOP][: len(published_tags)]
        found_tags = network.predict_on_batch(log_mel(windows))["tags"]
        found += [np.corrcoef(one, other)[0, 1] for one, other in zip(found_tags, published_tags, strict=False)]
    return np.array(found, np.float32)


def agreement(expected: FloatArray, got: FloatArray) -> tuple[float, float]:
    """Return R2 of `got` against `expected`, and the largest absolute difference."""
    residual = float(np.square(got - expected).sum())
    spread = float(np.square(expected - expected.mean(axis=0)).sum())
    return 1 - residual / spread, float(np.abs(got - expected).max())


def runtime_differences(network: Any, flatbuffer: bytes, mel: FloatArray) -> dict[str, dict[str, float]]:
    """Compare the outputs of the LiteRT runtime with those of Keras, one by one."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner()
    batches = [runner(mel=mel[start : start + 1]) for start in range(len(mel))]
    expected = network.predict(mel, verbose=0)
    found = {}
    for name, values in expected.items():
        r2, largest = agreement(np.asarray(values), np.concatenate([batch[name] for batch in batches]))
        found[name] = {"R2": r2, "largest difference": largest}
    return found


def sample_mel(clips: Sequence[SourceClip], shared: Path, *, every: int = 8) -> FloatArray:
    """Return one log-mel segment of every eighth music clip, shape (n, 187, 96)."""
    music = [clip for clip in clips if clip.part not in NO_MUSIC][::every]
    return log_mel(np.concatenate([load_segments(str(shared / "data" / clip.path)).y[:1] for clip in music]))
