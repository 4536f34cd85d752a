"""Step 3: fit calibration and threshold of the ten genres on the cross-validations."""

from __future__ import annotations

import numpy as np

from calibration_songs import ALIKE, gather_songs, library_weights, sharpened
from clips import read_clips
from genrify_tagger.training.calibration import choose_threshold, confidences, fit_confidence
from operating_figures import inside_weights
from recipe_options import CALIBRATION, PREDICTIONS, parse_options, print_figures, write_figures


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_clips(options.shared)
    with np.load(options.work / PREDICTIONS) as stored:
        runs = [sharpened(run) for run in stored["genres"]]
    songs, weights = gather_songs(clips, runs), library_weights(clips, runs)
    genres = {name: round(value, 4) for name, value in fit_confidence(songs, weights, ALIKE).items()}
    threshold = choose_threshold(confidences(songs, genres, ALIKE), songs.right, inside_weights(clips, runs))
    found = {"calibration": genres, "min_confidence": threshold}
    write_figures(options.work / CALIBRATION, found)
    print_figures(gtzan=found)


if __name__ == "__main__":
    main()
