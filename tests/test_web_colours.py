"""Genres have colours that can be told apart, however many there are, and text on them can be read."""

from __future__ import annotations

import itertools
import math

import pytest

from genrify_tagger.web.colours import luminance, palette, style_sheet

GREY = (122, 116, 136)  # what has no genre, as style.css shows it

Lab = tuple[float, float, float]


def to_lab(colour: tuple[int, int, int]) -> Lab:
    """Convert sRGB to CIELAB (D65)."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour))
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def difference(one: Lab, other: Lab) -> float:
    """Return the CIEDE2000 difference (Sharma, Wu, Dalal, 2005); about 1 is just noticeable."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 1.5 - 0.5 * math.sqrt(mean**7 / (mean**7 + 25**7))
    a1, a2 = a1 * g, a2 * g
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = (math.degrees(math.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    hue_step = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(turn / 2))
    lightness, chroma, hue = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + turn / 2) % 360
    t = (
        1
        - 0.17 * math.cos(math.radians(hue - 30))
        + 0.24 * math.cos(math.radians(2 * hue))
        + 0.32 * math.cos(math.radians(3 * hue + 6))
        - 0.20 * math.cos(math.radians(4 * hue - 63))
    )
    weight_l = 1 + 0.015 * (lightness - 50) ** 2 / math.sqrt(20 + (lightness - 50) ** 2)
    weight_c, weight_h = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rotation = (
        -2
        * math.sqrt(chroma**7 / (chroma**7 + 25**7))
        * math.sin(math.radians(60 * math.exp(-(((hue - 275) / 25) ** 2))))
    )
    dl, dc, dh = (l2 - l1) / weight_l, (c2 - c1) / weight_c, hue_step / weight_h
    return math.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh)


def test_the_difference_is_that_of_the_published_examples():
    assert difference((50, 2.6772, -79.7751), (50, 0, -82.7485)) == pytest.approx(2.0425, abs=1e-4)
    assert difference((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387)) == pytest.approx(1.2644, abs=1e-4)


@pytest.mark.parametrize(("count", "least"), [(10, 15), (24, 9), (60, 5)])
def test_any_two_genres_differ_in_colour(count, least):
    colours = [to_lab(colour) for colour in (GREY, *palette(count))]
    closest = min(itertools.combinations(colours, 2), key=lambda pair: difference(*pair))
    assert difference(*closest) >= least


def test_a_longer_palette_begins_like_a_shorter_one():
    assert palette(60)[:10] == palette(10)


def test_text_on_a_colour_has_enough_contrast():
    sheet = style_sheet(60)
    for index, colour in enumerate(palette(60)):
        text = (0, 0, 0) if f".g{index} {{" in sheet and "--on-g: #000" in sheet.splitlines()[index] else (255,) * 3
        light, dark = sorted((luminance(colour) + 0.05, luminance(text) + 0.05), reverse=True)
        assert light / dark >= 4.5, (index, colour)
