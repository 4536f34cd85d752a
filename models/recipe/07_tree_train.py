"""Step 7: cross-validate the head of the genre tree by source and by artist; train it on all clips."""

from __future__ import annotations

from typing import Any

import numpy as np

from recipe_options import parse_options, print_figures
from tree_clips import LEAVES, artist_folds, read_tree_clips, source_folds
from tree_features import read_features
from tree_head import cross_validate, train_head

HEAD = "tree_head.npz"  # in the work folder
PREDICTIONS = {"source": "tree_by_source.npz", "artist": "tree_by_artist.npz"}


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips, features = read_tree_clips(options.shared), read_features(options.work)
    head = train_head(clips, features)
    np.savez(
        options.work / HEAD,
        weights=head.weights.astype(np.float16),
        bias=head.bias.astype(np.float32),
        leaves=np.array(LEAVES),
    )
    folds = {"source": source_folds(clips)[0], "artist": artist_folds(clips, seed=options.seed)}
    for protocol, file in PREDICTIONS.items():
        predictions: dict[str, Any] = cross_validate(clips, features, folds[protocol])
        np.savez(options.work / file, **predictions)
    print_figures(clips=len(clips), folds={protocol: len(set(found)) for protocol, found in folds.items()})


if __name__ == "__main__":
    main()
