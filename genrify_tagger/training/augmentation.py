"""Augmentation of training audio: gain, equaliser, bandwidth, codec; SpecAugment and mixup for spectrograms.

A genre must not depend on how a file was made. Every training segment may be amplified, equalised, band-limited, and
encoded with a lossy codec at a random bit rate (MP3, AAC, Opus), each with its own probability.

References
----------
D. S. Park et al., "SpecAugment", Interspeech 2019.
H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from av.audio.stream import AudioStream

SAMPLE_RATE = 16000

FloatArray = npt.NDArray[np.float32]
Generator = np.random.Generator

# codec -> (container, sample rate it is encoded at, rates in kbit/s to choose from)
CODECS: dict[str, tuple[str, int, tuple[int, ...]]] = {
    "libmp3lame": ("mp3", 16000, (16, 24, 32, 48, 64)),
    "aac": ("adts", 16000, (16, 24, 32, 48, 64)),
    "libopus": ("ogg", 16000, (12, 16, 24, 32, 48)),
}


@dataclass(frozen=True)
class Augmentation:
    """Probability and strength of each kind of augmentation.

    Attributes
    ----------
    gain, equaliser, bandwidth, codec : float
        Probabilities, 0 to 1.
    gain_db, equaliser_db : float
        Largest change, up or down.
    lowest_cutoff : float
        Hertz; cutoffs are drawn between this and 7.5 kHz.
    masks : int
        Number of masks in time, and as many in frequency.
    mixup : float
        Parameter of the Beta distribution mixtures are drawn from; 0 for none.
    """

    gain: float = 0.5
    equaliser: float = 0.3
    bandwidth: float = 0.3
    codec: float = 0.2
    gain_db: float = 9.0
    equaliser_db: float = 6.0
    lowest_cutoff: float = 3000.0
    masks: int = 1
    mixup: float = 0.2


NO_AUGMENTATION = Augmentation(gain=0, equaliser=0, bandwidth=0, codec=0, masks=0, mixup=0)


def augment_segment(y: FloatArray, options: Augmentation, rng: Generator) -> FloatArray:
    """Augment one segment (samples at 16 kHz, any length) at random."""
    if rng.random() < options.equaliser:
        y = equalise(y, rng.uniform(-options.equaliser_db, options.equaliser_db, 4))
    if rng.random() < options.bandwidth:
        y = limit_band(y, float(rng.uniform(options.lowest_cutoff, 7500.0)))
    if rng.random() < options.gain:
        y = y * np.float32(10 ** (rng.uniform(-options.gain_db, options.gain_db) / 20))
    if rng.random() < options.codec:
        codec = list(CODECS)[int(rng.integers(len(CODECS)))]
        y = recode(y, codec, int(rng.choice(CODECS[codec][2])))
    return y


def equalise(y: FloatArray, gains_db: npt.NDArray[np.float64]) -> FloatArray:
    """Apply an equaliser: gains in dB at 100, 600, 2500 and 6000 Hz, interpolated over log frequency."""
    frequencies = np.fft.rfftfreq(len(y), 1 / SAMPLE_RATE)
    curve = np.interp(np.log(np.maximum(frequencies, 1.0)), np.log([100, 600, 2500, 6000]), gains_db)
    return _filtered(y, 10 ** (curve / 20))


def limit_band(y: FloatArray, cutoff: float) -> FloatArray:
    """Apply a low-pass filter (cutoff in Hertz), as a low sample rate does; the transition is 100 Hz wide."""
    frequencies = np.fft.rfftfreq(len(y), 1 / SAMPLE_RATE)
    return _filtered(y, np.clip((cutoff - frequencies) / 100 + 0.5, 0, 1))


def _filtered(y: FloatArray, response: npt.NDArray[np.float64]) -> FloatArray:
    filtered: FloatArray = np.fft.irfft(np.fft.rfft(y) * response, len(y)).astype(np.float32)
    return filtered


def recode(y: FloatArray, codec: str, kbits: int) -> FloatArray:
    """Encode a segment with a lossy codec and decode it again.

    Parameters
    ----------
    y : ndarray, shape (n,)
        Samples at 16 kHz.
    codec : str
        One of `CODECS`.
    kbits : int
        Bit rate in kbit/s.

    Returns
    -------
    ndarray, shape (n,)
        Delayed by a few milliseconds where the container does not state the codec's delay.
    """
    import av

    container, sample_rate, _ = CODECS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as sink:
        stream = cast("AudioStream", sink.add_stream(codec, rate=sample_rate, layout="mono"))
        stream.bit_rate = kbits * 1000
        frame = av.AudioFrame.from_ndarray(np.clip(y, -1, 1)[np.newaxis].astype(np.float32), "fltp", "mono")
        frame.sample_rate = sample_rate
        sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    file.seek(0)
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    with av.open(file, "r") as source:
        frames = [out for frame in source.decode(audio=0) for out in resampler.resample(frame)]
    frames += resampler.resample(None)
    decoded = np.concatenate([frame.to_ndarray()[0] for frame in frames]) if frames else y
    return np.pad(decoded, (0, max(0, len(y) - len(decoded))))[: len(y)].astype(np.float32)


def mask_spectrograms(mel: FloatArray, masks: int, rng: Generator) -> FloatArray:
    """Zero random spans of time (up to a fifth) and frequency (up to an eighth) of spectrograms (n, frames, bands)."""
    masked = mel.copy()
    for one in masked:
        for _ in range(masks):
            for axis, share in ((0, 5), (1, 8)):
                size = int(rng.integers(one.shape[axis] // share + 1))
                start = int(rng.integers(one.shape[axis] - size + 1))
                np.moveaxis(one, axis, 0)[start : start + size] = 0
    return masked


def mix_spectrograms(
    mel: FloatArray, targets: FloatArray, alpha: float, rng: Generator
) -> tuple[FloatArray, FloatArray]:
    """Mix every spectrogram with another of the batch.

    Parameters
    ----------
    mel : ndarray, shape (n, frames, bands)
    targets : ndarray, shape (n, n_classes)
    alpha : float
        Of the Beta distribution; 0 for no mixing.
    rng : Generator

    Returns
    -------
    mel : ndarray, shape (n, frames, bands)
    targets : ndarray, shape (n, 2 * n_classes + 1)
        The targets of both and the share of the first: sets of allowed classes cannot be averaged.
    """
    order = rng.permutation(len(mel))
    share = rng.beta(alpha, alpha, len(mel)).astype(np.float32) if alpha > 0 else np.ones(len(mel), np.float32)
    share = np.maximum(share, 1 - share)
    mixed = share[:, None, None] * mel + (1 - share)[:, None, None] * mel[order]
    return mixed, np.concatenate([targets, targets[order], share[:, None]], axis=1)
