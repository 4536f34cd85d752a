"""Hostile files: mutants of real ones, reproducible by seed.

`mutant(seed, index)` is the same file on every machine that has the same encoders; a failing test names both numbers.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import media
from tests.corpus import SHAPES

INTERESTING = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFF,
    0xFFFFFF,
    0x7F7F7F7F,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
# Where lengths and counts stand near: names of frames, chunks, atoms, pages, items.
_NAMES = re.compile(
    rb"ID3|3DI|TAG|T[A-Z]{2}[A-Z0-9]|APIC|TCO|APETAGEX|fLaC|OggS|vorbis|Opus|LYRICS|[a-z]{4}|LIST|FORM|COMM|SSND|wvpk|MPCK|\xa9gen"
)
_SHAPES = (
    "mp3-v22-every-frame-genre", "mp3-v23-every-frame-genre", "mp3-v24-every-frame-genre", "mp3-everything-behind",
    "mp3-v23-unsynchronised-genre", "mp3-v24-unsynchronised-tag", "mp3-v24-extended-right-checksum-rock",
    "mp3-v23-extended-right-checksum-none", "mp3-three-tags", "mp3-lyrics3-v2", "mp3-v23-compressed-genre",
    "mp3-v24-grouped-compressed-genre", "mp3-itunes-sizes", "mp3-v1-v2-ape", "mp3-v24-footer-genre",
    "flac-every-block-genre-at-3-padding-7", "flac-several-paddings-none", "flac-id3-around-genre",
    "flac-comments-many", "ogg-vorbis-comments-mixed-case", "opus-binary-suffix", "ogg-flac-comments-plain",
    "ogg-speex-comments-plain", "ogg-chained", "ogg-two-streams", "ogg-vorbis-border-64900",
    "mp4-genre-moov-mdat-free-8", "mp4-none-mdat-moov-free-2000", "mp4-chapters-genre", "mp4-fragmented-none",
    "mp4-gnre", "mp4-genre-moov-mdat-co64", "wav-everything-genre", "wav-list-info-and-id3-genre", "wav-extensible",
    "aiff-everything-genre", "aiff-aifc-none", "dsf-genre", "wavpack-full-genre", "wavpack-two-tags",
    "musepack-full-genre", "asf-metadata-genre", "asf-full-none",
)  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One hostile file."""

    name: str
    data: bytes

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.write_bytes(self.data)
        return path


@functools.cache
def bases() -> tuple[tuple[str, bytes], ...]:
    """Return (suffix, content) of the files that are mutated: every container, and tags of every kind."""
    plain = [media.master(kind, media.clip(2), genre=genre) for kind in media.KINDS for genre in (None, "Rock")]
    shaped = [shape for shape in SHAPES if shape.name in _SHAPES]
    assert len(shaped) == len(_SHAPES)
    return (
        *((path.suffix, path.read_bytes()) for path in plain),
        *((shape.suffix, shape.build().data) for shape in shaped),
    )


Mutator = Callable[[random.Random, bytearray], bytearray]


def _place(rng: random.Random, data: bytearray) -> int:
    """Choose a place: mostly in a header, at the end or near a name; sometimes anywhere."""
    if not data:
        return 0
    where = rng.random()
    if where < 0.4:
        window = rng.choice((16, 64, 256, 4096))
        return rng.randrange(min(window, len(data)))
    if where < 0.55:
        return len(data) - 1 - rng.randrange(min(256, len(data)))
    if where < 0.85:
        start = rng.randrange(len(data)) if rng.random() < 0.3 else 0
        names = [match.start() for match in _NAMES.finditer(bytes(data[start : start + 8192]))]
        if names:
            return max(0, min(len(data) - 1, start + rng.choice(names) + rng.randrange(-12, 14)))
    return rng.randrange(len(data))


def flip_bits(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        if data:
            data[_place(rng, data)] ^= 1 << rng.randrange(8)
    return data


def set_bytes(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 2, 8))):
        if data:
            data[_place(rng, data)] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
    return data


def absurd_size(rng: random.Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, width = _place(rng, data), rng.choice((2, 3, 4, 4, 4, 8))
        number = rng.choice((*INTERESTING, len(data), len(data) - at, rng.getrandbits(32))) % (1 << 8 * width)
        data[at : at + width] = number.to_bytes(width, rng.choice(("big", "little")))
    return data


def truncate(rng: random.Random, data: bytearray) -> bytearray:
    return data[: _place(rng, data)]


def cut(rng: random.Random, data: bytearray) -> bytearray:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 7, 100, 5000))]
    return data


def insert(rng: random.Random, data: bytearray) -> bytearray:
    at = _place(rng, data)
    data[at:at] = rng.choice((bytes, rng.randbytes))(rng.choice((1, 3, 64, 4096)))
    return data


def swap(rng: random.Random, data: bytearray) -> bytearray:
    size = rng.choice((4, 8, 40, 1000))
    a, b = _place(rng, data), _place(rng, data)
    first, second = data[a : a + size], data[b : b + size]
    if len(first) == len(second):
        data[a : a + size], data[b : b + size] = second, first
    return data


def repeat(rng: random.Random, data: bytearray) -> bytearray:
    a, b = _place(rng, data), _place(rng, data)
    data[b:b] = data[a : a + rng.choice((10, 100, 3000))] * rng.choice((1, 2, 50))
    return data


def blank(rng: random.Random, data: bytearray) -> bytearray:
    at = _place(rng, data)
    size = min(rng.choice((4, 30, 500, 20_000)), len(data) - at)
    data[at : at + size] = bytes((rng.choice((0, 0xFF)),)) * size
    return data


def graft(rng: random.Random, data: bytearray) -> bytearray:
    """Put a piece of another file in: tags of one container in another, headers in the middle."""
    other = rng.choice(bases())[1]
    start = rng.choice((0, 0, rng.randrange(len(other))))
    at = rng.choice((0, len(data), _place(rng, data)))
    data[at:at] = other[start : start + rng.choice((16, 200, 4000, 1 << 30))]
    return data


MUTATORS: tuple[Mutator, ...] = (
    *(flip_bits, set_bytes, absurd_size, absurd_size, truncate),
    *(cut, insert, swap, repeat, blank, graft),
)


def mutant(seed: int, index: int) -> Hostile:
    """Return one mutated file."""
    rng = random.Random(f"{seed}/{index}")
    suffix, data = bases()[index % len(bases())]
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 6))):
        mutated = rng.choice(MUTATORS)(rng, mutated)
    if rng.random() < 0.03:
        suffix = rng.choice(bases())[0]
    return Hostile(f"{seed}-{index:06d}{suffix}", bytes(mutated))
