"""From a song's analysis to genres, or to "unsure": pure functions, no file and no clock."""

from __future__ import annotations

from genrify_tagger.decision.flat import (
    SILENT,
    Decision,
    calibrated_confidence,
    decide,
    decide_by_song_scores,
    group_score,
    likeliest,
    log_odds,
    sharpen,
    song_scores,
    temper,
)
from genrify_tagger.decision.tree import (
    CHILD_SCORE,
    LEVELS,
    child_confidence,
    decide_by_scores,
    decide_in_tree,
    leaf_probabilities,
    node_scores,
    song_features,
    top_confidence,
)

__all__ = [
    "CHILD_SCORE",
    "LEVELS",
    "SILENT",
    "Decision",
    "calibrated_confidence",
    "child_confidence",
    "decide",
    "decide_by_scores",
    "decide_by_song_scores",
    "decide_in_tree",
    "group_score",
    "leaf_probabilities",
    "likeliest",
    "log_odds",
    "node_scores",
    "sharpen",
    "song_features",
    "song_scores",
    "temper",
    "top_confidence",
]
