"""Step 2: cross-validate both heads by artist, then train them on all clips."""

from __future__ import annotations

import pickle

import numpy as np

from broad_head import TAGGED, train_broad_head
from clips import read_clips
from cross_validation import cross_validate_broad, cross_validate_genres, song_means
from embeddings import read_embeddings
from fast_vgg import VGG_SIZE
from genre_head import train_genre_head
from genrify_tagger.training.fast_musicnn import tag_probabilities
from genrify_tagger.training.musicnn_weights import read_tags, read_weights
from recipe_options import HEADS, PREDICTIONS, parse_options, print_figures


def main() -> None:
    """Run the step."""
    options = parse_options(__doc__)
    clips = read_clips(options.shared)
    training, test = read_embeddings(options.work)
    genres = [cross_validate_genres(clips, training, test, seed=seed) for seed in options.seeds]
    broad = [cross_validate_broad(clips, training, test, seed=seed) for seed in options.seeds]
    hidden = test.embedding[:, :-VGG_SIZE]
    tags = np.asarray(tag_probabilities(hidden, read_weights(options.wheel)), np.float32)
    names = read_tags(options.wheel)
    columns = [names.index(label) for label in TAGGED]
    tagged = song_means(tags[:, columns], test.owner, len(clips))
    np.savez(options.work / PREDICTIONS, genres=np.stack(genres), broad=np.stack(broad), tagged=tagged)
    labelled = np.array([bool(clip.allowed) for clip in clips])
    genre_head = train_genre_head(clips, training.of_clips(labelled), seed=options.seed)
    broad_head = train_broad_head(clips, training, seed=options.seed)
    (options.work / HEADS).write_bytes(pickle.dumps((genre_head, broad_head)))
    print_figures(cross_validations=options.repeats, clips_trained_on=int(labelled.sum()))


if __name__ == "__main__":
    main()
