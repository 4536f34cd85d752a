"""One colour for each genre, as different from one another as their number allows."""

from __future__ import annotations

import functools
import math

_LIGHTNESSES = (0.48, 0.56, 0.64, 0.72, 0.80)  # OKLab; visible on the white and on the dark page
_HUES = 36
_CHROMAS = (1.0, 0.5)  # of the most that the screen can show
_MAX_CHROMA = 0.2
_LINEAR_LIMIT = 0.0031308  # of sRGB: below it, the transfer function is linear

Lab = tuple[float, float, float]
Rgb = tuple[int, int, int]

_GREY: Lab = (0.58, 0.0, 0.0)  # stands for silence and for genres outside the vocabulary


@functools.lru_cache
def palette(count: int) -> tuple[Rgb, ...]:
    """Return `count` colours; a longer palette begins with the colours of a shorter one.

    Each colour is the candidate that is farthest, in OKLab (Ottosson, 2020), from grey and all colours before it.
    """
    candidates = list(_candidates())
    distances = [math.dist(lab, _GREY) for lab in candidates]
    chosen: list[Rgb] = []
    index = 0
    while len(chosen) < count:
        chosen.append(_as_bytes(_to_linear(candidates[index])))
        distances = [
            min(known, math.dist(lab, candidates[index])) for known, lab in zip(distances, candidates, strict=True)
        ]
        index = max(range(len(candidates)), key=distances.__getitem__)
    return tuple(chosen)


def style_sheet(count: int) -> str:
    """Return CSS that defines, for class `g0` and so on, the colour `--g` and that of text on it, `--on-g`."""
    return "".join(
        f".g{index} {{ --g: #{red:02x}{green:02x}{blue:02x}; --on-g: {_text_on((red, green, blue))}; }}\n"
        for index, (red, green, blue) in enumerate(palette(count))
    )


def luminance(colour: Rgb) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    red, green, blue = (_linear(value / 255) for value in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _text_on(colour: Rgb) -> str:
    """Return black or white, whichever contrasts more."""
    own = luminance(colour) + 0.05
    return "#000" if own / 0.05 > 1.05 / own else "#fff"


def _candidates() -> list[Lab]:
    return [
        (lightness, chroma * math.cos(angle), chroma * math.sin(angle))
        for lightness in _LIGHTNESSES
        for hue in range(_HUES)
        for angle in [2 * math.pi * (hue + 26.0) / _HUES]
        for most in [_max_chroma(lightness, angle)]
        for chroma in (most * share for share in _CHROMAS)
    ]


def _max_chroma(lightness: float, angle: float) -> float:
    """Return the greatest chroma of a lightness and hue that the sRGB gamut holds."""
    low, high = 0.0, _MAX_CHROMA
    for _ in range(12):
        middle = (low + high) / 2
        lab = (lightness, middle * math.cos(angle), middle * math.sin(angle))
        low, high = (middle, high) if all(0 <= part <= 1 for part in _to_linear(lab)) else (low, middle)
    return low


def _to_linear(lab: Lab) -> tuple[float, float, float]:
    """Convert OKLab to linear sRGB; parts outside 0 to 1 are outside the gamut."""
    lightness, a, b = lab
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _linear(value: float) -> float:
    return value / 12.92 if value <= 12.92 * _LINEAR_LIMIT else ((value + 0.055) / 1.055) ** 2.4


def _as_bytes(linear: tuple[float, float, float]) -> Rgb:
    red, green, blue = (
        round(255 * (12.92 * part if part <= _LINEAR_LIMIT else 1.055 * part ** (1 / 2.4) - 0.055))
        for part in (min(1.0, max(0.0, part)) for part in linear)
    )
    return red, green, blue
