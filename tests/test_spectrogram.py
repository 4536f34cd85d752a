"""The log-mel spectrogram is librosa's own, to the last figures that float32 has."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from genrify_tagger.audio import load_segments
from genrify_tagger.spectrogram import FRONT_END, FRONT_END_ID, log_mel
from tests import media


def librosa() -> ModuleType:
    """Import librosa; without it skip on a user's machine and fail in CI."""
    if importlib.util.find_spec("librosa") is None:
        if media.in_ci():
            pytest.fail("librosa is missing in CI")
        pytest.skip("librosa is not installed (it is part of the train extra)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it imports is not ours to mend
        import librosa
        import librosa.feature
    return librosa


def signals(folder: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    time = np.arange(48000) / 16000
    click = np.zeros(48000)
    click[[0, 24000, 47999]] = 1
    return {
        "jazz": load_segments(str(media.make("flac", folder))).y,
        "noise": rng.uniform(-1, 1, (2, 48000)).astype(np.float32),
        "sweep": np.sin(2 * np.pi * (20 + 1300 * time) * time).astype(np.float32)[None],
        "clicks": click.astype(np.float32)[None],
        "square": np.sign(np.sin(2 * np.pi * 55 * time)).astype(np.float32)[None],
        "whisper": (1e-4 * rng.standard_normal((1, 48000))).astype(np.float32),
    }


@pytest.mark.parametrize("name", ["jazz", "noise", "sweep", "clicks", "square", "whisper"])
def test_equals_librosa(name: str, tmp_path: Path) -> None:
    reference = librosa()
    y = signals(tmp_path)[name]
    for segment, mel in zip(y, log_mel(y), strict=True):
        power = reference.feature.melspectrogram(y=segment, sr=16000, n_fft=512, hop_length=256, n_mels=96)
        expected = np.log10(10000 * power + 1).T[:187]
        assert np.abs(mel - expected).max() < 1e-4


def test_shape_and_type() -> None:
    for n in (0, 1, 5):
        mel = log_mel(np.zeros((n, 48000), np.float32))
        assert mel.shape == (n, 187, 96)
        assert mel.dtype == np.float32
    with pytest.raises(ValueError, match="48000"):
        log_mel(np.zeros((1, 16000), np.float32))
    with pytest.raises(ValueError, match="48000"):
        log_mel(np.zeros(48000, np.float32))


def test_silence_is_zero() -> None:
    assert not log_mel(np.zeros((1, 48000), np.float32)).any()


def test_segments_do_not_depend_on_one_another() -> None:
    y = np.random.default_rng(1).uniform(-1, 1, (3, 48000)).astype(np.float32)
    assert np.array_equal(log_mel(y)[1], log_mel(y[1:2])[0])


def test_tone_lands_in_its_band_and_frame() -> None:
    time = np.arange(48000) / 16000
    y = (np.sin(2 * np.pi * 1000 * time) * (time > 1.5)).astype(np.float32)[None]
    mel = log_mel(y)[0]
    # 1 kHz is 15 mel on Slaney's scale, of 45.25 up to 8 kHz, in 97 steps
    assert np.argmax(mel[150]) == pytest.approx(15 / 45.245 * 97 - 1, abs=1)
    assert not mel[: int(1.5 * 16000 / 256) - 1].any()
    assert mel[int(1.5 * 16000 / 256) + 2 :].max(axis=1).min() > 3


def test_parameters_are_named_in_the_id() -> None:
    assert FRONT_END_ID == "slaney-16000-48000-512-256-96-0-8000-10000-187"
    assert (FRONT_END.n_fft, FRONT_END.hop_length, FRONT_END.n_mels) == (512, 256, 96)
