"""A Monkey's Audio encoder, since neither FFmpeg nor Debian has one: mono, 16 bit, "fast", the format of version 3.87.

Written from what decoders expect. That old version needs no range coder, only adaptive Rice codes behind a predictor of
second order, and every decoder still reads it. It is as slow as Python is: meant for seconds of audio.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

VERSION = 3870
FAST = 1000
NO_WAV_HEADER = 32  # the flag that says decoders are to make up the WAV header
FRAME = 9216  # samples a frame


def encode(samples: Sequence[int], sample_rate: int) -> bytes:
    """Return an .ape file of 16-bit mono samples."""
    frames = [_frame(samples[at : at + FRAME]) for at in range(0, len(samples), FRAME)]
    header = struct.pack(
        "<4s4H5I",
        *(b"MAC ", VERSION, FAST, NO_WAV_HEADER, 1),
        *(sample_rate, 0, 0, len(frames), len(samples) - FRAME * (len(frames) - 1)),
    )
    positions = [len(header) + 4 * len(frames)]
    for frame in frames[:-1]:
        positions.append(positions[-1] + len(frame))
    return header + struct.pack(f"<{len(frames)}I", *positions) + b"".join(frames)


def _frame(samples: Sequence[int]) -> bytes:
    bits = "0" * 32 + "".join(_rice(_residuals(samples)))  # the checksum comes first; nothing in it to check is fine
    bits += "0" * (32 - len(bits) % 32)
    words = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return struct.pack(f"<{len(words) // 4}I", *struct.unpack(f">{len(words) // 4}I", words))


def _residuals(samples: Sequence[int]) -> Iterable[int]:
    output, last, before, coefficient = 0, 0, 0, 375
    for position, sample in enumerate(samples):
        if position < 3:
            residual = step = sample
        else:
            prediction = 2 * last - before
            step = sample - output
            residual = step - (prediction * coefficient >> 9)
            coefficient += 1 if residual ^ prediction > 0 else -1
        output, last, before = sample, step, last
        yield residual


def _rice(residuals: Iterable[int]) -> Iterable[str]:
    k, total = 10, 1 << 14
    for residual in residuals:
        value = 2 * residual - 1 if residual > 0 else -2 * residual
        low = f"{value & (1 << k) - 1:0{k}b}" if k else ""
        yield "0" * (value >> k) + "1" + low
        total += value - (total + 8 >> 4)
        if total < (1 << k + 4 if k else 0):
            k -= 1
        elif total >= 1 << k + 5 and k < 24:
            k += 1
