"""Step 3: fit calibration and threshold of both vocabularies on the cross-validations."""

from __future__ import annotations

import numpy as np

from calibration_songs import ALIKE, gather_songs, library_weights, sharpened
from clips import read_clips
from genrify_tagger.training.calibration import choose_threshold, confidences, fit_confidence
from operating_figures import broad_calibration, inside_weights
from recipe_options import CALIBRATION, PREDICTIONS, parse_options, print_figures, write_figures


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_clips(options.shared)
    with np.load(options.work / PREDICTIONS) as stored:
        runs, broad_runs, tagged = [sharpened(run) for run in stored["genres"]], list(stored["broad"]), stored["tagged"]
    songs, weights = gather_songs(clips, runs), library_weights(clips, runs)
    genres = {name: round(value, 4) for name, value in fit_confidence(songs, weights, ALIKE).items()}
    threshold = choose_threshold(confidences(songs, genres, ALIKE), songs.right, inside_weights(clips, runs))
    broad, broad_threshold = broad_calibration(clips, broad_runs, tagged)
    found = {
        "gtzan": {"calibration": genres, "min_confidence": threshold},
        "broad": {"calibration": broad, "min_confidence": broad_threshold},
    }
    write_figures(options.work / CALIBRATION, found)
    print_figures(**found)


if __name__ == "__main__":
    main()
