"""Helpers of the workbench's tests: the extra `train`, and datasets of generated tones."""

from __future__ import annotations

import importlib.util
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.extras import install_command
from genrify_tagger.training.dependencies import numba_cache_lock
from genrify_tagger.training.reference_study_features import load_librosa
from tests.media import in_ci

SAMPLE_RATE = 16000
# Keras 3.15 with TensorFlow 2.21, whose tensors convert to NumPy 2 the old way; not this project's code.
KERAS_WARNING = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"


def need_installed(*names: str) -> None:
    """Without a library of the extra `train`, skip on a user's machine and fail in CI; to be called at import."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if not absent:
        if "librosa" in names:
            with numba_cache_lock():
                pass  # it has named the folder that all test processes share, and the programs that they start
        return
    reason = f"{', '.join(absent)} not installed: {install_command('train')}"
    if in_ci() and not (absent == ["tensorflow"] and sys.version_info >= (3, 14)):  # which has no wheel of it
        raise RuntimeError(reason)
    pytest.skip(reason, allow_module_level=True)


def need_library(*names: str) -> None:
    """Do as `need_installed`, and compile librosa if it is needed; to be called in a test or fixture.

    While pytest collects, one process would compile and all others would wait for it.
    """
    need_installed(*names)
    if "librosa" in names:
        load_librosa()  # several workers may be about to


def write_wav(path: Path, y: np.ndarray, sample_rate: int = SAMPLE_RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(y, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def sound(label: str, number: int, seconds: float = 4.0) -> np.ndarray:
    """Return a sound a small network learns to tell: a low chord, a high tone, or noise, never twice the same."""
    rng = np.random.default_rng([number, sum(label.encode())])
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    if label == "metal":
        return 0.3 * rng.standard_normal(len(time))
    base = {"classical": 220.0, "reggae": 80.0}.get(label, 1500.0) * rng.uniform(0.95, 1.05)
    return sum(0.2 * np.sin(2 * np.pi * base * ratio * time) for ratio in (1, 1.5, 2)) * rng.uniform(0.5, 1)


def tones(folder: Path, labels=("classical", "metal", "reggae"), clips: int = 6, seconds: float = 4.0) -> Path:
    """Build a dataset in the layout of GTZAN: a folder for each genre."""
    for label in labels:
        for number in range(clips):
            write_wav(folder / label / f"{label}.{number:05d}.wav", sound(label, number, seconds))
    return folder
