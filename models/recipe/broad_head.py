"""The vocabulary `broad` and its head: labels that do not exclude one another, each known for some sources only.

What a source does not say is left out of the loss: GTZAN's labels are about the ten genres and say nothing of folk;
AllMusic's "Pop/Rock" says that at least one of pop, rock and metal fits, not which. A few labels that no source has are
tags of MSD_musicnn, taken as they are (see `TAGGED`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clips import SourceClip
from embeddings import SegmentEmbeddings
from genre_head import HeadOptions, layers_of, net_logits
from genrify_tagger.decision import log_odds
from genrify_tagger.training.genre_labels import ALLMUSIC, GENRES, POP_ROCK
from genrify_tagger.training.musicnn_weights import FloatArray
from shipped_network import Head

# Label to AllMusic's name. Its Avant-Garde, Easy Listening, Holiday, Religious and Children's have too few artists
# here (9 to 13) or do not describe sound; Vocal is jazz and pop under another name. Stage & Screen (17 clips) could
# not be told from the rest: AUROC 0.63, 95% interval 0.49 to 0.77.
FURTHER = {
    "electronic": "Electronic",
    "folk": "Folk",
    "rnb": "R&B",
    "latin": "Latin",
    "newage": "New Age",
    "spoken": "Comedy/Spoken",
    "world": "International",
}
# Label (and tag) to the share of AllMusic's clips that should get it, since there are no labels to fit it by, and to
# the AllMusic genres that such music is filed under, to count the mistakes.
TAGGED = {
    "soul": (0.03, frozenset({"R&B"})),
    "ambient": (0.03, frozenset({"New Age", "Electronic", "Avant-Garde", "Stage & Screen"})),
    "punk": (0.03, frozenset({"Pop/Rock"})),
    "funk": (0.006, frozenset({"R&B", "Pop/Rock", "Rap", "Jazz", "Electronic"})),
}
TRAINED = (*GENRES, *FURTHER)
LABELS = (*TRAINED, *TAGGED)
WRITTEN = {
    "hiphop": "Hip-Hop",
    "rnb": "R&B",
    "newage": "New Age",
    "spoken": "Spoken Word",
}
# AllMusic files disco under these; a clip with none of them is not disco.
AROUND_DISCO = frozenset({"Pop/Rock", "R&B", "Electronic"})
UNKNOWN = -1.0
FEWEST = 40  # songs of a label, all runs together, for a bias of its own
OPTIONS = HeadOptions(nets=3, hidden=64, epochs=15)


def broad_names() -> dict[str, str]:
    """Return the name to write for every label."""
    return {label: WRITTEN.get(label, label.capitalize()) for label in LABELS}


def truths(clips: Sequence[SourceClip]) -> FloatArray:
    """Return what is known of every clip, shape (n_clips, n_trained + 1): 1 fits, 0 does not, -1 unknown.

    The last column is 1 where at least one of pop, rock and metal fits but it is unknown which, else -1.
    """
    return np.array([_truth(clip) for clip in clips], np.float32)


def _truth(clip: SourceClip) -> list[float]:
    if clip.part in ("synthetic", "speech"):
        known = dict.fromkeys(TRAINED, 0.0) | {"spoken": float(clip.part == "speech")}
    elif clip.part == "allmusic":
        known = _of_allmusic(frozenset(clip.names))
    elif clip.part == "more":
        known = dict.fromkeys(clip.answers, 1.0) | {label: 1.0 for label in clip.names if label in FURTHER}
    else:
        known = {label: float(label in clip.answers) for label in GENRES}
    either = 1.0 if clip.part == "allmusic" and "Pop/Rock" in clip.names else UNKNOWN
    return [*(known.get(label, UNKNOWN) for label in TRAINED), either]


def _of_allmusic(names: frozenset[str]) -> dict[str, float]:
    known = {label: float(name in names) for label, name in FURTHER.items()}
    for name, genres in ALLMUSIC.items():
        if genres != POP_ROCK:
            known |= {genre: float(name in names) for genre in genres}
    if "Pop/Rock" not in names:
        known |= dict.fromkeys(POP_ROCK, 0.0)
    if not names & AROUND_DISCO:
        known["disco"] = 0.0
    if "New Age" in names:  # an artist of wordless music is filed under Comedy/Spoken as well
        del known["spoken"]
    return known


def filed_under(clips: Sequence[SourceClip]) -> npt.NDArray[np.bool_]:
    """Return which labels would be right for every AllMusic clip, shape (n_clips, n_labels).

    Pop, rock and metal all are for "Pop/Rock", disco for what it is filed under, a tag for what such music is.
    """
    rows = np.zeros((len(clips), len(LABELS)), bool)
    filed = {label: frozenset({name}) for label, name in FURTHER.items()} | {"disco": AROUND_DISCO}
    filed |= {label: family for label, (_, family) in TAGGED.items()}
    for genre in GENRES:
        if genre not in filed:
            filed[genre] = frozenset(name for name, genres in ALLMUSIC.items() if genre in genres)
    for row, clip in zip(rows, clips, strict=True):
        row[:] = [bool(filed[label] & set(clip.names)) for label in LABELS]
    return rows


def acceptable(clips: Sequence[SourceClip], means: FloatArray) -> FloatArray:
    """Return the truths of the trained labels; where one of pop, rock and metal fits, the best-scored one counts."""
    truth = truths(clips)
    either = np.flatnonzero(truth[:, -1] > 0)
    columns = np.array([TRAINED.index(genre) for genre in sorted(POP_ROCK)])
    truth[either, columns[means[either][:, columns].argmax(axis=1)]] = 1
    return truth[:, :-1]


def train_broad_head(
    clips: Sequence[SourceClip], segments: SegmentEmbeddings, *, seed: int, options: HeadOptions = OPTIONS
) -> Head:
    """Train the head of `broad`; parameters as of `genre_head.train_genre_head`."""
    import keras

    keras.utils.set_random_seed(seed)
    mean, deviation = segments.embedding.mean(axis=0), segments.embedding.std(axis=0) + 1e-3
    model = _model(segments.embedding.shape[1], options)
    steps = -(-len(segments.owner) // options.batch) * options.epochs
    schedule = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    model.compile(
        optimizer=keras.optimizers.AdamW(schedule, weight_decay=options.weight_decay),
        loss=[_masked_loss] * options.nets,
    )
    # Clips count alike whatever their length, except for the weight of their label.
    per_clip = np.array([clip.weight for clip in clips]) / np.maximum(
        np.bincount(segments.owner, minlength=len(clips)), 1
    )
    weights = (per_clip / per_clip[segments.owner].mean())[segments.owner].astype(np.float32)
    model.fit(
        (segments.embedding - mean) / deviation,
        [truths(clips)[segments.owner]] * options.nets,
        sample_weight=[weights] * options.nets,
        batch_size=options.batch,
        epochs=options.epochs,
        verbose=0,
    )
    return Head(mean, deviation, [layers_of(model, number) for number in range(options.nets)])


def _model(inputs: int, options: HeadOptions) -> Any:
    import keras
    from keras import layers

    x = keras.Input((inputs,))
    outputs = []
    for number in range(options.nets):
        y = layers.Dropout(options.input_dropout)(x)
        y = layers.Dense(options.hidden, activation="relu", name=f"hidden{number}")(y)
        y = layers.Dropout(options.hidden_dropout)(y)
        outputs.append(layers.Dense(len(TRAINED), activation="sigmoid", name=f"output{number}")(y))
    return keras.Model(x, outputs)


def _masked_loss(truth: Any, probabilities: Any) -> Any:
    """Sum the cross entropies of what is known, and of "at least one of pop, rock and metal"."""
    from keras import ops

    p = ops.clip(probabilities, 1e-6, 1 - 1e-6)
    labels, either = truth[:, :-1], truth[:, -1]
    known = ops.cast(labels >= 0, "float32")
    single = -known * (labels * ops.log(p) + (1 - labels) * ops.log(1 - p))
    none = 1.0
    for genre in sorted(POP_ROCK):
        none = none * (1 - p[:, TRAINED.index(genre)])
    return ops.sum(single, axis=-1) - ops.cast(either > 0, "float32") * ops.log(1 - none + 1e-6)


def broad_probabilities(head: Head, embedding: FloatArray) -> FloatArray:
    """Return the trained labels' probabilities, shape (n, n_trained), as the shipped graph computes them."""
    outputs = [1 / (1 + np.exp(-net_logits(head, net, embedding))) for net in head.nets]
    return np.asarray(np.mean(outputs, axis=0), np.float32)


def fit_broad_calibration(means: FloatArray, truth: FloatArray) -> dict[str, float]:
    """Fit one slope for all trained labels and a bias for each, on songs the network had not met.

    Parameters
    ----------
    means : ndarray, shape (n_songs, n_trained)
        Mean probabilities of each song.
    truth : ndarray, shape (n_songs, n_trained)
        1, 0 or -1 as in `truths`.

    Returns
    -------
    dict of str to float
        `slope` and `bias:<label>`, as `decision.decide` reads them.
    """
    from sklearn.linear_model import LogisticRegression

    rows, columns = np.nonzero(truth >= 0)
    odds = np.array([log_odds(float(means[row, column])) for row, column in zip(rows, columns, strict=True)])
    is_label = np.eye(means.shape[1])[columns]
    model = LogisticRegression(C=1.0, fit_intercept=False, max_iter=1000)
    model.fit(np.column_stack([odds, is_label]), truth[rows, columns] > 0)
    slope, *biases = (float(value) for value in model.coef_[0])
    enough = (truth > 0).sum(axis=0) >= FEWEST
    biases = [bias if fitted else 0.0 for bias, fitted in zip(biases, enough, strict=True)]
    return {"slope": slope} | {f"bias:{label}": bias for label, bias in zip(TRAINED, biases, strict=True)}


def tag_biases(tags: FloatArray, *, slope: float, threshold: float) -> dict[str, float]:
    """Set the labels that are tags so that the share of `TAGGED` reaches the threshold.

    Parameters
    ----------
    tags : ndarray, shape (n_clips, n_tagged)
        Mean probabilities of AllMusic clips.
    slope, threshold : float
        Of the vocabulary.
    """
    cuts = [float(np.quantile(values, 1 - share)) for values, (share, _) in zip(tags.T, TAGGED.values(), strict=True)]
    return {
        f"bias:{label}": log_odds(threshold) - slope * log_odds(cut) for label, cut in zip(TAGGED, cuts, strict=True)
    }


def broad_scores(means: FloatArray, calibration: Mapping[str, float], labels: Sequence[str]) -> FloatArray:
    """Return calibrated scores, shape (n_songs, n_labels), as `decision.decide` computes them."""
    odds = np.vectorize(log_odds)(means.astype(np.float64))
    biases = np.array([calibration[f"bias:{label}"] for label in labels])
    return np.asarray(1 / (1 + np.exp(-(calibration["slope"] * odds + biases))), np.float32)
