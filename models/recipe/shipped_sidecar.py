"""The sidecar of the shipped model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from broad_head import LABELS, broad_names
from genrify_tagger.spectrogram import FRONT_END
from genrify_tagger.training.genre_labels import GENRES, POP_ROCK
from shipped_network import EMBEDDING_SIZE

WRITTEN = {genre: genre.capitalize() for genre in GENRES} | {"hiphop": "Hip-Hop"}


def sidecar_content(tags: list[str], *, gtzan: Mapping[str, Any], broad: Mapping[str, Any]) -> dict[str, Any]:
    """Return the front end, vocabularies and outputs of the model.

    Parameters
    ----------
    tags : list of str
    gtzan, broad : mapping
        `calibration` and `min_confidence` of each vocabulary.
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
    multi = {"kind": "multi", "labels": list(LABELS), "output": "broad", "names": broad_names(), **broad}
    return {
        "front_end": asdict(FRONT_END),
        "vocabularies": {"gtzan": single, "broad": multi},
        "tags": tags,
        "embedding_size": EMBEDDING_SIZE,
    }
