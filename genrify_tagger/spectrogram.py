"""The log-mel spectrogram, the input of the model.

Equal to librosa's `melspectrogram` with its defaults, but without librosa, which would cost every worker seconds and
160 MB. Slaney's mel scale and area normalisation as in his Auditory Toolbox (1998); the logarithm
`log10(10000 * S + 1)` is that of musicnn (Pons and Serra, 2019).
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

_LINEAR_HZ = 200 / 3  # Slaney's scale: this many Hertz a mel up to 1 kHz, logarithmic above
_LOG_FROM_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27


@dataclass(frozen=True)
class FrontEnd:
    """The parameters of `log_mel`; a model needs the ones it was trained with."""

    sample_rate: int = 16000
    segment_samples: int = 48000
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 96
    fmin: float = 0.0
    fmax: float = 8000.0
    gain: float = 10000.0
    n_frames: int = 187

    @property
    def id(self) -> str:
        """All parameters in one short string, for cache keys."""
        return "slaney-" + "-".join(f"{value:g}" for value in asdict(self).values())


FRONT_END = FrontEnd()
FRONT_END_ID = FRONT_END.id


def log_mel(y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Compute the log-mel spectrograms of segments.

    Parameters
    ----------
    y : np.ndarray, shape (n, 48000), float32
        Segments at 16 kHz, mono.

    Returns
    -------
    np.ndarray, shape (n, 187, 96), float32
        `log10(10000 * S + 1)` of the mel power spectra `S`, frame by frame; a centred frame every 256 samples, the
        first one around the first sample, zeros beyond the ends. Silence is 0.

    Raises
    ------
    ValueError
        If `y` has another shape.
    """
    if y.ndim != 2 or y.shape[1] != FRONT_END.segment_samples:
        raise ValueError(f"expected segments of shape (n, {FRONT_END.segment_samples}), got {y.shape}")
    out = np.empty((len(y), FRONT_END.n_frames, FRONT_END.n_mels), np.float32)
    for segment, mel in zip(np.asarray(y, np.float32), out, strict=True):
        np.matmul(_power(segment), _filters(), out=mel)
    out *= np.float32(FRONT_END.gain)
    out += np.float32(1)
    return np.log10(out, out=out)


def _power(segment: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    padded = np.pad(segment, FRONT_END.n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRONT_END.n_fft)[:: FRONT_END.hop_length]
    spectrum: npt.NDArray[np.complex64] = np.fft.rfft(frames[: FRONT_END.n_frames] * _window())  # type: ignore[assignment]
    return spectrum.real**2 + spectrum.imag**2


@functools.cache
def _window() -> npt.NDArray[np.float32]:
    n = np.arange(FRONT_END.n_fft)
    return (0.5 - 0.5 * np.cos(2 * np.pi * n / FRONT_END.n_fft)).astype(np.float32)


@functools.cache
def _filters() -> npt.NDArray[np.float32]:
    """Return the triangular filters, shape (n_fft // 2 + 1, n_mels), each of unit area."""
    bins = np.linspace(0, FRONT_END.sample_rate / 2, FRONT_END.n_fft // 2 + 1)
    mels = np.linspace(_to_mel(FRONT_END.fmin), _to_mel(FRONT_END.fmax), FRONT_END.n_mels + 2)
    edges = np.array([_to_hz(mel) for mel in mels])
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - lower) / (centre - lower)
    falling = (upper - bins[:, None]) / (upper - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: npt.NDArray[np.float32] = (triangles * (2 / (upper - lower))).astype(np.float32)
    return filters


def _to_mel(hz: float) -> float:
    if hz < _LOG_FROM_HZ:
        return hz / _LINEAR_HZ
    return float(_LOG_FROM_HZ / _LINEAR_HZ + np.log(hz / _LOG_FROM_HZ) / _LOG_STEP)


def _to_hz(mel: float) -> float:
    knee = _LOG_FROM_HZ / _LINEAR_HZ
    return mel * _LINEAR_HZ if mel < knee else float(_LOG_FROM_HZ * np.exp(_LOG_STEP * (mel - knee)))
