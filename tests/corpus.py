"""Every shape of tags on real audio, as other programs leave them."""

from __future__ import annotations

from tests import corpus_chunks, corpus_mp3, corpus_mp4, corpus_rest, corpus_xiph
from tests.shapes import Built, Shape

__all__ = ["SHAPES", "Built", "Shape"]

SHAPES: tuple[Shape, ...] = (
    *corpus_mp3.shapes,
    *corpus_xiph.shapes,
    *corpus_mp4.shapes,
    *corpus_chunks.shapes,
    *corpus_rest.shapes,
)
