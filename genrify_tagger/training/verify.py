"""Proof on real clips that the port is the published network and the fast form is the port."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genrify_tagger.audio import SEGMENT_SAMPLES, decode_all, load_segments
from genrify_tagger.spectrogram import FRONT_END, log_mel
from genrify_tagger.training.data import NO_MUSIC, Clip
from genrify_tagger.training.musicnn import FloatArray

TAGGRAMS = "data/taggrams/gtzan_train_filtered_msd_musicnn.npz"
# What librosa makes of "one second" at a hop of 256 samples and 512 samples a frame.
TAGGRAM_HOP = 61 * FRONT_END.hop_length


def taggram_correlation(network: Any, clips: Sequence[Clip], shared: Path) -> FloatArray:
    """Correlate a network's tags with the published ones, window by window.

    Parameters
    ----------
    network : keras.Model
        As `musicnn.build` or `prune.build` make it.
    clips : sequence of Clip
        Those of GTZAN's train list are used.
    shared : Path
        The folder of shared data.

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
        theirs = published[ids == f"{path.parent.name}/{path.stem}.au"]
        y = decode_all(str(shared / "data" / clip.path))
        windows = np.lib.stride_tricks.sliding_window_view(y, SEGMENT_SAMPLES)[::TAGGRAM_HOP][: len(theirs)]
        ours = network.predict_on_batch(log_mel(windows))["tags"]
        found += [np.corrcoef(mine, other)[0, 1] for mine, other in zip(ours, theirs, strict=False)]
    return np.array(found, np.float32)


def agreement(expected: FloatArray, got: FloatArray) -> tuple[float, float]:
    """Return the coefficient of determination of `got` and its largest difference from `expected`."""
    residual = float(np.square(got - expected).sum())
    spread = float(np.square(expected - expected.mean(axis=0)).sum())
    return 1 - residual / spread, float(np.abs(got - expected).max())


def differences(network: Any, flatbuffer: bytes, mel: FloatArray) -> dict[str, dict[str, float]]:
    """Compare what the runtime makes of segments with what Keras makes of them, output by output."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_content=flatbuffer, num_threads=1).get_signature_runner()
    batches = [runner(mel=mel[start : start + 1]) for start in range(len(mel))]
    expected = network.predict(mel, verbose=0)
    found = {}
    for name, values in expected.items():
        r2, largest = agreement(np.asarray(values), np.concatenate([batch[name] for batch in batches]))
        found[name] = {"R2": r2, "largest difference": largest}
    return found


def sample_mel(clips: Sequence[Clip], shared: Path, *, every: int = 8) -> FloatArray:
    """Return one log-mel segment (n, 187, 96) of every so many clips of music."""
    music = [clip for clip in clips if clip.part not in NO_MUSIC][::every]
    return log_mel(np.concatenate([load_segments(str(shared / "data" / clip.path)).y[:1] for clip in music]))
