"""Step 2: cross-validate the head of the ten genres by artist, then train it on all clips."""

from __future__ import annotations

import pickle

import numpy as np

from clips import read_clips
from cross_validation import cross_validate_genres
from embeddings import read_embeddings
from genre_head import train_genre_head
from recipe_options import HEAD, PREDICTIONS, parse_options, print_figures


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_clips(options.shared)
    training, test = read_embeddings(options.work)
    genres = [cross_validate_genres(clips, training, test, seed=seed) for seed in options.seeds]
    np.savez(options.work / PREDICTIONS, genres=np.stack(genres))
    labelled = np.array([bool(clip.allowed) for clip in clips])
    head = train_genre_head(clips, training.of_clips(labelled), seed=options.seed)
    (options.work / HEAD).write_bytes(pickle.dumps(head))
    print_figures(cross_validations=options.repeats, clips_trained_on=int(labelled.sum()))


if __name__ == "__main__":
    main()
