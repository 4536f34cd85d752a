"""Step 5: compute the figures of the ten genres from the cross-validations."""

from __future__ import annotations

import numpy as np

from accuracy import accuracy_figures
from calibration_songs import sharpened
from clips import read_clips
from genrify_tagger.classifier import load_sidecar
from operating_figures import genre_operating_figures
from recipe_options import MODELS, PREDICTIONS, SCORES, parse_options, print_figures, rounded, write_figures

SCHEMA = 1


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_clips(options.shared)
    sidecar = load_sidecar(str(MODELS))
    with np.load(options.work / PREDICTIONS) as stored:
        runs = [sharpened(run) for run in stored["genres"]]
    scores = {
        "schema": SCHEMA,
        "model": sidecar.analyses,
        "accuracy": accuracy_figures(clips, runs),
        "threshold": sidecar.vocabularies["gtzan"].min_confidence,
        "operating": genre_operating_figures(clips, runs, options.seeds),
    }
    scores = rounded(scores)
    write_figures(MODELS / SCORES, scores)
    print_figures(**scores)


if __name__ == "__main__":
    main()
