"""What was tried beside the shipped recipe: ``python -m genrify_tagger.training.ideas --help``.

Every idea differs from the recipe in one thing and is judged in the same folds. With ``--out`` the figures go into a
JSON file, from which `training.card` writes the card's table; without names all are run, which takes an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from genrify_tagger.training import calibrate, idea_networks, musicnn, scores, verify
from genrify_tagger.training.data import CLASSES, MULTI_GENRE_WEIGHT, OUTSIDE, Clip, targets
from genrify_tagger.training.head import Recipe, predict, train_head
from genrify_tagger.training.idea_world import BOTH, FEATURES, Joint, World
from genrify_tagger.training.listening import Heard
from genrify_tagger.training.musicnn import FloatArray
from genrify_tagger.training.validate import cross_validate, figures, fold_numbers, song_means

SURELY_WRONG, SURELY_RIGHT = 0.05, 0.8
GUESSED_WEIGHT = 0.3
FEWEST_WRITTEN = 20
SHOWN = ("micro", "macro", "gtzan_valid", "auroc_outside")


def _other_features(*names: str) -> Callable[[World, int], Joint]:
    return lambda world, seed: world.try_out(seed, names)


def _other_recipe(**changes: Any) -> Callable[[World, int], Joint]:
    return lambda world, seed: world.try_out(seed, recipe=replace(Recipe(), **changes))


def _without(part: str) -> Callable[[World, int], Joint]:
    return lambda world, seed: world.try_out(seed, without=world.mask(lambda clip: clip.part == part))


def _baseline(world: World, seed: int) -> Joint:
    return world.try_out(
        seed,
        ("MSD_musicnn",),
        fit=lambda heard, _: idea_networks.balanced_regression(world.clips, heard),
        without=world.mask(lambda clip: not clip.single or len(clip.allowed) != 1 or OUTSIDE in clip.allowed),
    )


def _fewer_segments(world: World, seed: int) -> Joint:
    train, judge = world.hear(*BOTH)
    place = np.arange(len(judge.owner)) - np.searchsorted(judge.owner, judge.owner)
    return cross_validate(
        world.clips, train, Heard(judge.embedding[place % 2 == 0], judge.owner[place % 2 == 0]), seed=seed
    )


def _more_segments(world: World, seed: int) -> Joint:
    train, _ = world.hear(*BOTH)
    return cross_validate(world.clips, train, train, seed=seed)


def _clip_loss(*, attend: bool) -> Callable[[World, int], Joint]:
    def run(world: World, seed: int) -> Joint:
        return world.try_out(
            seed, fit=lambda heard, number: idea_networks.clip_network(world.clips, heard, number, attend=attend)
        )

    return run


def _tuned(*, averaged: bool) -> Callable[[World, int], Joint]:
    """Carry the mid-end and dense layer of MSD_musicnn on, from a head trained on the frozen ones."""

    def run(world: World, seed: int) -> Joint:
        both, channels = world.hear(*BOTH), world.hear("channels")
        weights = musicnn.read_weights(world.wheel, "MSD_musicnn")
        rows = [Heard(np.arange(len(side.owner), dtype=np.float32)[:, np.newaxis], side.owner) for side in both]

        def fit(heard: Heard, number: int) -> Callable[[Heard], FloatArray]:
            def material(side: int, chosen: Heard) -> idea_networks.Material:
                at = chosen.embedding[:, 0].astype(np.int64)
                return idea_networks.Material(channels[side].embedding, both[side].embedding, at, chosen.owner)

            network = idea_networks.Tuned(world.clips, material(0, heard), weights, number, averaged=averaged)
            return lambda songs: song_means(network.predict(material(1, songs)), songs.owner, len(world.clips))

        return cross_validate(world.clips, *rows, seed=seed, fit=fit)

    return run


def _taught(world: World, seed: int) -> Joint:
    """Train on MSD_musicnn's embedding with what a head on MSD_vgg says as a second target."""
    width = world.hear("MSD_musicnn")[0].embedding.shape[1]
    return world.try_out(seed, fit=lambda heard, number: idea_networks.taught(world.clips, heard, width, number))


def _cleaned(world: World, seed: int) -> Joint:
    """Train without clips that look mislabelled, as networks say that did meet the judged songs: rather too good."""
    given = (world.base(seed) * targets(world.clips)).sum(axis=1)
    return world.try_out(seed, without=np.nan_to_num(given, nan=1.0) < SURELY_WRONG)


def _self_trained(world: World, seed: int) -> Joint:
    """Train again with clips of unclear label, under what a head that met no judged artist is sure of."""
    train, judge = world.hear(*BOTH)
    folds = fold_numbers(world.clips, seed)
    unclear = world.mask(lambda clip: clip.part == "allmusic" and not clip.allowed)

    def fit(heard: Heard, number: int) -> Callable[[Heard], FloatArray]:
        teacher = train_head(world.clips, heard, seed=number)
        said = song_means(predict(teacher, judge.embedding), judge.owner, len(world.clips))
        chosen = unclear & (folds != number - seed * 100) & (said.max(axis=1) > SURELY_RIGHT)
        clips = list(world.clips)
        for index in np.flatnonzero(chosen).tolist():
            guess = CLASSES[int(said[index].argmax())]
            clips[index] = replace(clips[index], allowed=frozenset({guess}), weight=MULTI_GENRE_WEIGHT)
        met = np.isin(np.arange(len(clips)), heard.owner)
        pupil = train_head(clips, train.of(met | chosen), seed=number)
        return lambda songs: song_means(predict(pupil, songs.embedding), songs.owner, len(clips))

    return world.try_out(seed, fit=fit)


def _taggrams(world: World) -> tuple[list[Clip], list[FloatArray]]:
    """Return GTZAN's training clips of which only the tags are here, and their tags' log odds."""
    with np.load(world.shared / verify.TAGGRAMS) as stored:
        values, ids = stored["X"], stored["IDS"]
    here = {f"{Path(c.path).parent.name}/{Path(c.path).stem}.au" for c in world.clips if c.part == "gtzan_train"}
    clips, odds = [], []
    for name in np.unique(ids):
        if name in here:
            continue
        label = frozenset({str(name).split("/")[0]})
        clips.append(Clip(str(name), "gtzan_train", "gtzan train", label, label, 1.0, True, tuple(label)))
        p = np.clip(values[ids == name][::2], 1e-5, 1 - 1e-5)
        odds.append(np.log(p / (1 - p)).astype(np.float32))
    return clips, odds


def _with_taggrams(world: World, seed: int) -> Joint:
    extra, odds = _taggrams(world)
    train, judge = world.hear("tags")
    slivers = [clip.part == "slivers_train" for clip in world.clips] + [False] * len(extra)
    clips = [*world.clips, *extra]
    joint = cross_validate(clips, _joined(train, odds), judge, seed=seed, without=np.array(slivers))
    return joint[: len(world.clips)]


def _with_guesses(world: World, seed: int) -> Joint:
    """Train on embeddings guessed by linear regression from the published tags, too."""
    extra, odds = _taggrams(world)
    (tags, _), (train, judge) = world.hear("tags"), world.hear(*BOTH)
    x = np.c_[tags.embedding, np.ones(len(tags.embedding))].astype(np.float64)
    matrix = np.linalg.solve(x.T @ x + 1e-4 * len(x) * np.eye(x.shape[1]), x.T @ train.embedding)
    guesses = [np.asarray(np.c_[rows, np.ones(len(rows))] @ matrix, np.float32) for rows in odds]
    clips = [*world.clips, *(replace(clip, weight=GUESSED_WEIGHT) for clip in extra)]
    return cross_validate(clips, _joined(train, guesses), judge, seed=seed)[: len(world.clips)]


def _joined(heard: Heard, more: Sequence[FloatArray]) -> Heard:
    first = int(heard.owner.max()) + 1
    owner = np.repeat(np.arange(first, first + len(more)), [len(rows) for rows in more])
    return Heard(np.concatenate([heard.embedding, *more]), np.concatenate([heard.owner, owner]))


@dataclass(frozen=True)
class Idea:
    """Something tried: what it is, in words, and what it makes of the clips."""

    text: str
    run: Callable[[World, int], Joint]


IDEAS: dict[str, Idea] = {
    "shipped": Idea("**as shipped**: MSD_musicnn and MSD_vgg side by side, five networks 456-128-11", World.base),
    "baseline": Idea("balanced logistic regression on MSD_musicnn, clear labels only, nothing outside", _baseline),
    "logistic": Idea("one linear layer instead of the networks", _other_recipe(nets=1, hidden=0)),
    "musicnn": Idea("MSD_musicnn alone", _other_features("MSD_musicnn")),
    "vgg": Idea("MSD_vgg alone", _other_features("MSD_vgg")),
    "mtt": Idea("MTT_musicnn alone", _other_features("MTT_musicnn")),
    "three": Idea("shipped, and MTT_vgg as a third", _other_features(*BOTH, "MTT_vgg")),
    "pooled": Idea("a layer earlier: MSD_musicnn's pooled channels, and MSD_vgg", _other_features("pooled", "MSD_vgg")),
    "layers": Idea("shipped, and MSD_musicnn's pooled channels", _other_features(*BOTH, "pooled")),
    "tags": Idea("the 50 tags instead of the embedding", _other_features("tags")),
    "taggrams": Idea("the 50 tags, with published taggrams of clips whose audio is not here", _with_taggrams),
    "guesses": Idea("shipped, and an embedding of these clips guessed from their tags, weight 0.3", _with_guesses),
    "modulation": Idea("shipped, and the modulation spectrum of 16 bands", _other_features(*BOTH, "modulation")),
    "slivers": Idea("shipped, without the slivers", _without("slivers_train")),
    "more": Idea("shipped, without the further clips", _without("more")),
    "cleaned": Idea(
        "shipped, without clips whose label it gave less than 0.05 (label cleaning; rather too good)", _cleaned
    ),
    "self": Idea("shipped, and clips of unclear label under what it was 0.8 sure of (self-training)", _self_trained),
    "taught": Idea("MSD_musicnn alone, taught by a head on MSD_vgg", _taught),
    "tuned": Idea("mid-end and dense layer of MSD_musicnn tuned, five epochs", _tuned(averaged=False)),
    "halfway": Idea("the same, halfway between tuned and published", _tuned(averaged=True)),
    "four": Idea("four segments a clip", _fewer_segments),
    "nineteen": Idea("nineteen segments, every 1.5 s", _more_segments),
    "clips": Idea("trained on whole clips: the loss of the mean of eight segments", _clip_loss(attend=False)),
    "attention": Idea("trained on whole clips with attention over the segments", _clip_loss(attend=True)),
    "dropout": Idea("input dropout 0.4", _other_recipe(input_dropout=0.4)),
    "wide": Idea("twice as many networks, twice as wide", _other_recipe(nets=10, hidden=256)),
}


def judge(world: World, runs: Sequence[Joint]) -> dict[str, Any]:
    """Compute what the table says of an idea: accuracy, and what comes of writing from the threshold on."""
    sharp = [calibrate.sharpened(run) for run in runs]
    accuracy = figures(world.clips, sharp)
    operating = scores.operating_figures(world.clips, sharp, world.seeds)["one genre, of the ten"]
    names = ("right", "written", "wrong", "precision")
    return {name: accuracy[name] for name in SHOWN} | {name: operating[name] for name in names}


def by_genre(world: World, runs: Sequence[Joint]) -> dict[str, float]:
    """Compute what comes of a threshold for each genre, chosen on the other folds as the one for all is.

    A genre of which fewer than `FEWEST_WRITTEN` songs would be chosen on gets the threshold of all.
    """
    written = wrong = total = 0.0
    for run, seed in zip([calibrate.sharpened(run) for run in runs], world.seeds, strict=True):
        songs, judged = calibrate.judged(world.clips, [run]), np.isfinite(run).all(axis=1)
        inside = scores.inside_weights(world.clips, [run])
        folds = fold_numbers(world.clips, seed)[judged]
        weights = calibrate.library_weights(world.clips, [run])
        confidence, threshold = calibrate.nested(songs, weights, inside, folds, calibrate.ALIKE)
        best = songs.conditional.argmax(axis=1)
        for fold in np.unique(folds):
            for genre in np.unique(best):
                others = (folds != fold) & (best == genre) & (inside > 0)
                if others.sum() >= FEWEST_WRITTEN:
                    here = (folds == fold) & (best == genre)
                    threshold[here] = calibrate.choose_threshold(
                        confidence[others], songs.right[others], inside[others]
                    )
        given = inside * (confidence >= threshold)
        written, wrong, total = written + given.sum(), wrong + (given * ~songs.right).sum(), total + inside.sum()
    return {"written": written / total, "wrong": wrong / total, "precision": 1 - wrong / written}


def by_alike(world: World, runs: Sequence[Joint]) -> dict[str, dict[str, float]]:
    """Compute accuracy for several temperatures among pop, rock and metal."""
    found = {}
    for temperature in (1.0, 0.8, 0.65, 0.5, 0.35):
        sharp = [calibrate.sharpened(run, temperature) for run in runs]
        accuracy = figures(world.clips, sharp)
        found[f"{temperature}"] = {name: accuracy[name]["value"] for name in SHOWN[:3]}
    return found


def by_threshold(world: World, runs: Sequence[Joint]) -> dict[str, dict[str, float]]:
    """Compute what thresholds come to, with confidence fitted to the songs it is judged on."""
    sharp = [calibrate.sharpened(run) for run in runs]
    songs, judged = calibrate.judged(world.clips, sharp), np.isfinite(sharp[0]).all(axis=1)
    numbers = calibrate.fit(songs, calibrate.library_weights(world.clips, sharp), calibrate.ALIKE)
    confidence = calibrate.confidences(songs, numbers, calibrate.ALIKE)
    sets = {
        name: np.tile(mask[judged], len(runs)).astype(bool) for name, mask in calibrate.populations(world.clips).items()
    }
    found = {}
    for threshold in (0.7, 0.75, 0.8, 0.85, 0.9):
        given = confidence >= threshold
        found[f"{threshold}"] = {
            "written": float(given[sets["one genre, of the ten"]].mean()),
            "wrong": float((given & ~songs.right)[sets["one genre, of the ten"]].mean()),
            "outside": float(given[sets["none of the ten"]].mean()),
            "no music": float(given[sets["no music"]].mean()),
        }
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Try ideas as the command line says."""
    options = _parser().parse_args(arguments)
    world = World(options.shared, options.wheel, options.cache, range(options.repeats))
    if not options.names:
        world.load(*FEATURES)
    found: dict[str, Any] = {}
    if options.out and options.out.exists():
        found = json.loads(options.out.read_text("utf-8"))
    for name in options.names or IDEAS:
        begun = time.monotonic()
        runs = [IDEAS[name].run(world, seed) for seed in world.seeds]
        found[name] = {"text": IDEAS[name].text, **judge(world, runs)}
        if name == "shipped":
            found["thresholds by genre"] = by_genre(world, runs)
            found["thresholds"] = by_threshold(world, runs)
            found["temperature of pop, rock and metal"] = by_alike(world, runs)
        line = " ".join(f"{key} {found[name][key]['value']:.3f}" for key in (*SHOWN, "written", "wrong", "precision"))
        print(f"{name}: {line} ({time.monotonic() - begun:.0f} s)", flush=True)
        if options.out:
            options.out.write_text(json.dumps(scores.rounded(found), indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m genrify_tagger.training.ideas", description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/gtzan, data/allmusic, ...")
    parser.add_argument("--wheel", type=Path, required=True, help="from `pip download --no-deps musicnn==0.1.0`")
    parser.add_argument("--cache", type=Path, required=True, help="folder for features, kept between runs")
    parser.add_argument("--out", type=Path, help="JSON file to add the figures to")
    parser.add_argument("--repeats", type=int, default=3, help="cross-validations to average (default: 3)")
    parser.add_argument("names", nargs="*", choices=[[], *IDEAS], metavar="IDEA", help=f"any of {', '.join(IDEAS)}")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
