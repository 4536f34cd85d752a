"""The model: a LiteRT flatbuffer, its JSON sidecar and what the sidecar names, all in one folder."""

from __future__ import annotations

from genrify_tagger.classifier.network import MAX_BATCH, Classifier, silent_stderr
from genrify_tagger.classifier.sidecar import (
    SIDECAR_NAME,
    Sidecar,
    TreeFiles,
    Vocabulary,
    load_sidecar,
    model_id,
)

__all__ = [
    "MAX_BATCH",
    "SIDECAR_NAME",
    "Classifier",
    "Sidecar",
    "TreeFiles",
    "Vocabulary",
    "load_sidecar",
    "model_id",
    "silent_stderr",
]
