"""A minimal PNG encoder for heatmaps."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3  # colour type: one byte a pixel, an index into the palette
_STOPS = (  # from silence to the loudest, after the perceptually even "magma"
    (0.00, (13, 10, 28)),
    (0.20, (59, 26, 104)),
    (0.42, (133, 42, 122)),
    (0.62, (205, 66, 104)),
    (0.80, (248, 130, 92)),
    (0.92, (254, 196, 137)),
    (1.00, (252, 246, 200)),
)


def heatmap_png(levels: npt.NDArray[np.uint8]) -> bytes:
    """Encode levels as a heatmap in PNG.

    Parameters
    ----------
    levels : ndarray, shape (height, width), uint8
        The first row is the upper one.
    """
    height, width = levels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter, which is none
    rows[:, 1:] = levels
    header = struct.pack(">IIBBBBB", width, height, 8, _PALETTE, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _palette()), (b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _palette() -> bytes:
    at = np.linspace(0, 1, 256)
    places = [stop for stop, _ in _STOPS]
    channels = [np.interp(at, places, [colour[channel] for _, colour in _STOPS]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8).tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
