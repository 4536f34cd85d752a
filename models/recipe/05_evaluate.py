"""Step 5: compute the figures of README and model card from the cross-validations."""

from __future__ import annotations

import numpy as np

from accuracy import accuracy_figures
from calibration_songs import sharpened
from clips import read_clips
from genrify_tagger.classifier import load_sidecar
from operating_figures import broad_figures, genre_operating_figures
from recipe_options import MODELS, PREDICTIONS, SCORES, parse_options, print_figures, rounded, write_figures

SCHEMA = 1


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_clips(options.shared)
    sidecar = load_sidecar(str(MODELS))
    gtzan, broad = sidecar.vocabularies["gtzan"], sidecar.vocabularies["broad"]
    with np.load(options.work / PREDICTIONS) as stored:
        runs, broad_runs, tagged = [sharpened(run) for run in stored["genres"]], list(stored["broad"]), stored["tagged"]
    scores = {
        "schema": SCHEMA,
        "model": sidecar.id,
        "accuracy": accuracy_figures(clips, runs),
        "threshold": gtzan.min_confidence,
        "operating": genre_operating_figures(clips, runs, options.seeds),
        "broad": broad_figures(clips, broad_runs, tagged, broad.calibration, broad.min_confidence),
    }
    scores = rounded(scores)
    write_figures(MODELS / SCORES, scores)
    print_figures(**scores)


if __name__ == "__main__":
    main()
