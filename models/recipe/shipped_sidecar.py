"""The sidecar of the shipped model, without the genre tree, which step 8 adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from genrify_tagger.spectrogram import FRONT_END
from genrify_tagger.training.genre_labels import GENRES, POP_ROCK
from shipped_network import EMBEDDING_SIZE

WRITTEN = {genre: genre.capitalize() for genre in GENRES} | {"hiphop": "Hip-Hop"}


def sidecar_content(tags: list[str], gtzan: Mapping[str, Any]) -> dict[str, Any]:
    """Return the front end, vocabulary `gtzan` and outputs of the model.

    Parameters
    ----------
    tags : list of str
    gtzan : mapping
        Its `calibration` and `min_confidence`.
    """
    single = {
        "kind": "single",
        "labels": list(GENRES),
        "output": "gtzan",
        "outside": "outside",
        "names": WRITTEN,
        "alike": sorted(POP_ROCK),
        **gtzan,
    }
    return {
        "front_end": asdict(FRONT_END),
        "vocabularies": {"gtzan": single},
        "tags": tags,
        "embedding_size": EMBEDDING_SIZE,
    }
