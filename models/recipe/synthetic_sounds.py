"""Non-musical sounds generated from a seed: noise of any colour and level, tones, hum, clicks, mains buzz.

Trained on music only, the network takes faint hiss for classical music and a sine for jazz; these sounds are examples
of "none of the ten". Each is named ``synthetic/<kind>-<number>``. It is evaluated as a clip of one such sound, and
trained on as a medley of many, so that every colour occurs at every level.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from genrify_tagger.audio import SAMPLE_RATE, SEGMENT_SAMPLES
from genrify_tagger.training.musicnn_weights import FloatArray

VERSION = "sounds 1"  # part of the key of stored embeddings: change it with anything below
N_SEGMENTS = 4
MEDLEY_SEGMENTS = 24
CLIPS_OF_A_KIND = 12
LEVELS = (-58.0, -6.0)  # dBFS, RMS

Array = npt.NDArray[np.float64]
_SAMPLES = N_SEGMENTS * SEGMENT_SAMPLES


def sound_names() -> list[str]:
    """Return the name of every sound."""
    return [f"synthetic/{kind}-{number:02d}" for kind in KINDS for number in range(CLIPS_OF_A_KIND)]


def kind_of(name: str) -> str:
    """Return the kind of a named sound.

    >>> kind_of("synthetic/noise-03")
    'noise'
    """
    return name.removeprefix("synthetic/").rpartition("-")[0]


def make_sound(name: str) -> FloatArray:
    """Generate a sound; the same name always gives the same sound.

    Returns
    -------
    ndarray, shape (4, 48000)
        Segments at 16 kHz.
    """
    rng = np.random.default_rng(list(name.encode()))
    y = _at_level(KINDS[kind_of(name)](rng), rng.uniform(*LEVELS))
    return y.reshape(N_SEGMENTS, SEGMENT_SAMPLES)


def make_medley(name: str) -> FloatArray:
    """Generate one sound of a kind for each segment, at evenly spread levels; the same for the same name.

    Returns
    -------
    ndarray, shape (24, 48000)
        Segments at 16 kHz.
    """
    rng = np.random.default_rng(list(f"varied {name}".encode()))
    places = (rng.permutation(MEDLEY_SEGMENTS) + rng.random(MEDLEY_SEGMENTS)) / MEDLEY_SEGMENTS
    levels = LEVELS[0] + places * (LEVELS[1] - LEVELS[0])
    sounds = [KINDS[kind_of(name)](rng)[:SEGMENT_SAMPLES] for _ in range(MEDLEY_SEGMENTS)]
    return np.stack([_at_level(y, level) for y, level in zip(sounds, levels, strict=True)])


def _at_level(y: Array, level: float) -> FloatArray:
    return np.asarray(np.clip(y * 10 ** (level / 20) / np.sqrt(np.mean(np.square(y))), -1, 1), np.float32)


def _noise(rng: np.random.Generator) -> Array:
    """White to brown noise: from some frequency on the spectrum falls (or rises) by a random power."""
    spectrum = np.fft.rfft(rng.standard_normal(_SAMPLES))
    frequency = np.fft.rfftfreq(_SAMPLES, 1 / SAMPLE_RATE)
    corner = np.exp(rng.uniform(np.log(1), np.log(1500)))
    return np.asarray(np.fft.irfft(spectrum * (1 + (frequency / corner) ** 2) ** -rng.uniform(-0.15, 0.6), _SAMPLES))


def _band_noise(rng: np.random.Generator) -> Array:
    """Noise in one band, swelling and fading: wind, surf, a distant road."""
    spectrum = np.fft.rfft(rng.standard_normal(_SAMPLES))
    frequency = np.fft.rfftfreq(_SAMPLES, 1 / SAMPLE_RATE)
    centre, octaves = np.exp(rng.uniform(np.log(100), np.log(6000))), rng.uniform(0.3, 2.0)
    spectrum *= np.exp(-0.5 * (np.log2(np.maximum(frequency, 1) / centre) / octaves) ** 2)
    swell = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * rng.uniform(0.1, 3) * _time() + rng.uniform(0, 6))
    return np.asarray(np.fft.irfft(spectrum, _SAMPLES) * swell)


def _tones(rng: np.random.Generator) -> Array:
    """One to three steady or gliding sines: test signals, dial tones."""
    y = np.zeros(_SAMPLES)
    for _ in range(rng.integers(1, 4)):
        start, glide = np.exp(rng.uniform(np.log(60), np.log(5000))), rng.choice([0.0, 0.0, rng.uniform(-0.1, 0.1)])
        y += np.sin(2 * np.pi * start * (_time() + 0.5 * glide * _time() ** 2))
    return y


def _hum(rng: np.random.Generator) -> Array:
    """Mains hum with its harmonics, over a little hiss."""
    mains = rng.choice([50.0, 60.0])
    strengths = rng.uniform(0, 1, 12) ** 2 / np.arange(1, 13)
    y = sum(s * np.sin(2 * np.pi * mains * n * _time()) for n, s in enumerate(strengths, start=1))
    return np.asarray(y + rng.uniform(0, 0.1) * rng.standard_normal(_SAMPLES))


def _clicks(rng: np.random.Generator) -> Array:
    """Clicks at random or regular times over hiss: an empty groove, a clock."""
    y = rng.uniform(0.0005, 0.02) * rng.standard_normal(_SAMPLES)
    n = int(rng.integers(6, 80))
    times = np.linspace(0, _SAMPLES - 400, n) if rng.random() < 0.5 else rng.uniform(0, _SAMPLES - 400, n)
    decay = np.exp(-np.arange(400) / rng.uniform(2, 80))
    for time in times.astype(int):
        y[time : time + 400] += rng.choice([-1, 1]) * decay * rng.uniform(0.5, 1)
    return y


def _time() -> Array:
    return np.arange(_SAMPLES) / SAMPLE_RATE


KINDS: dict[str, Callable[[np.random.Generator], Array]] = {
    "noise": _noise,
    "band": _band_noise,
    "tones": _tones,
    "hum": _hum,
    "clicks": _clicks,
}
