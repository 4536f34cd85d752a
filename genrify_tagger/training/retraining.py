"""A model of one's own: from datasets to the files the tagger runs, in one go."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from genrify_tagger.errors import ConfigError, ModelError
from genrify_tagger.training import fitting, flatbuffer, musicnn, networks, packing, splits
from genrify_tagger.training.datasets import Dataset, SkippedFile
from genrify_tagger.training.decoded import Decoded, decode, default_cache
from genrify_tagger.training.extra import quietly
from genrify_tagger.training.fitting import Epoch, Material, Options
from genrify_tagger.training.hearing import write_trained_on
from genrify_tagger.training.report_plots import plot_history
from genrify_tagger.training.vocabularies import Target, choose, open_table

VERSION = "own"
MODEL, CARD, HISTORY = "model.keras", "MODEL_CARD.md", "history.png"
CHECKED_SEGMENTS = 32
WHEEL = "musicnn-0.1.0-py3-none-any.whl"


@dataclass(frozen=True)
class TrainingPlan:
    """What to train on, and from where.

    Attributes
    ----------
    vocabulary : str
        One of `vocabularies.CHOICES`.
    tune : str
        Which part of MSD_musicnn is trained besides the head, one of `networks.TUNES`.
    scratch : bool
        Begin with a small CNN that knows nothing instead.
    wheel : Path or None
        The PyPI wheel with MSD_musicnn's weights; None to fetch it once.
    validation : list of str or None
        Names of clips to validate on; None for a fifth of the artists.
    cache : Path or None
    jobs : int
    progress : bool
        Whether to show how far decoding is.
    """

    vocabulary: str = "gtzan"
    tune: networks.Tune = "mid"
    scratch: bool = False
    wheel: Path | None = None
    validation: Sequence[str] | None = None
    cache: Path | None = None
    jobs: int = 0
    progress: bool = True


@dataclass(frozen=True)
class Trained:
    """What came of it.

    `first_labels` says how many clips there were of each label; `agreement` is the largest difference between Keras and
    LiteRT.
    """

    folder: Path
    target: Target
    history: Sequence[Epoch]
    n_training: int
    n_validation: int
    first_labels: Mapping[str, int]
    agreement: float
    seconds: float
    calibration: dict[str, float]
    threshold: float
    problems: Sequence[SkippedFile] = field(default=())


def train(
    datasets: Sequence[Dataset], folder: Path, plan: TrainingPlan, options: Options, *, tell: Callable[[str], None]
) -> Trained:
    """Train a model and write it: `model.keras`, flatbuffer, sidecar, card and a picture of the run.

    Raises
    ------
    ConfigError
        If there is too little music, or the folder holds another run.
    ModelError
        If the published weights cannot be had, or what was written differs from the network.
    """
    begun = time.monotonic()
    weights, tags = (None, None) if plan.scratch else published(plan, tell)
    clips = [clip for one in datasets for clip in one.clips]
    entries, problems = decode(clips, plan.cache, jobs=plan.jobs, progress=plan.progress)
    target = choose(plan.vocabulary, [entry.clip for entry in entries])
    training, validation = share_out(entries, target, plan.validation, seed=options.seed)
    tell(
        f"{len(training.entries)} clips to train on, {len(validation.entries)} to validate, {target.n_classes} classes"
    )
    if unlearned := _unlearned(training, target):
        tell(f"no clip to learn {', '.join(unlearned)} from: such music will not be recognised")

    def build() -> Any:
        return _build(weights, target, plan)

    model, history = fitting.fit(
        build, training, validation, options, folder, network=_network(plan, target), tell=tell
    )
    mel, owner = fitting.validation_mel(validation.entries)
    means = fitting.clip_means(np.asarray(model.predict(mel, verbose=0)), owner)
    calibration, threshold = packing.fit_calibration(means, validation.targets, target)
    assembled = packing.assemble(model, target, weights)
    size = int(assembled.output["embedding"].shape[1])
    description = packing.describe(target, tags, size, calibration, threshold)
    with quietly():
        converted = flatbuffer.convert(packing.frozen(assembled))
    flatbuffer.write_model(folder, converted, version=VERSION, description=description)
    model.save(folder / MODEL)
    agreement = packing.check(model, target, folder, mel[:CHECKED_SEGMENTS])
    left_out = [*(problem for one in datasets for problem in one.problems), *problems]
    trained = Trained(
        folder=folder,
        target=target,
        history=history,
        n_training=len(training.entries),
        n_validation=len(validation.entries),
        first_labels=Counter(entry.clip.labels[0] for part in (training, validation) for entry in part.entries),
        agreement=agreement,
        seconds=time.monotonic() - begun,
        calibration=calibration,
        threshold=threshold,
        problems=left_out,
    )
    write_trained_on(folder, (entry.clip.name for part in (training, validation) for entry in part.entries))
    plot_history(history, folder / HISTORY)
    (folder / CARD).write_text(card(trained, datasets, plan, options), encoding="utf-8")
    return trained


def published(plan: TrainingPlan, tell: Callable[[str], None]) -> tuple[musicnn.Weights, list[str]]:
    """Return MSD_musicnn's weights and tag names, fetching the wheel into the cache the first time.

    Raises
    ------
    ModelError
        If it cannot be fetched.
    """
    wheel = plan.wheel or (plan.cache or default_cache()).parent / WHEEL
    if plan.wheel is None and not wheel.exists():
        tell("fetching MSD_musicnn (PyPI, ISC licence)")
        wheel.parent.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "-d",
            str(wheel.parent),
            "musicnn==0.1.0",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not wheel.exists():
            hint = "pip download --no-deps musicnn==0.1.0 elsewhere and name it by --weights, or train --from-scratch"
            raise ModelError("MSD_musicnn cannot be fetched", path=str(wheel), hint=hint)
    return musicnn.read_weights(wheel), musicnn.read_tags(wheel)


def share_out(
    entries: Sequence[Decoded], target: Target, validation: Sequence[str] | None, *, seed: int
) -> tuple[Material, Material]:
    """Part clips into those to train on and those to validate on; no artist is on both sides.

    Raises
    ------
    ConfigError
        If there are too few clips, or none of those listed.
    """
    chosen, table = open_table(target, [entry.clip for entry in entries])
    usable = [entries[number] for number in chosen]
    if validation is not None:
        listed = set(validation)
        groups = {entry.clip.group for entry in usable if entry.clip.name in listed}
        held_out = np.array([entry.clip.group in groups for entry in usable], bool)
    else:
        held_out = _fifth_of_artists(usable, seed)
    if not held_out.any() or held_out.all():
        raise ConfigError("no clip to validate on, or none to train on", hint="more clips, or another list")
    parts = (np.flatnonzero(~held_out), np.flatnonzero(held_out))
    training, held = (Material([usable[at] for at in part], table[part]) for part in parts)
    return training, held


def _fifth_of_artists(entries: Sequence[Decoded], seed: int) -> Any:
    groups = [entry.clip.group for entry in entries]
    if len(set(groups)) < 5:
        raise ConfigError("fewer than five clips or artists, too few to validate on")
    protocol = splits.by_group([entry.clip.labels[0] for entry in entries], groups, seed=seed)
    held_out = np.zeros(len(entries), bool)
    held_out[protocol.folds[0][1]] = True
    return held_out


def _unlearned(training: Material, target: Target) -> list[str]:
    """Return the labels that no clip trained on leaves open."""
    return [label for number, label in enumerate(target.labels) if not training.targets[:, number].any()]


def _network(plan: TrainingPlan, target: Target) -> dict[str, Any]:
    """Return what `_build` goes by, by the names of the options."""
    start = {"start": "from-scratch"} if plan.scratch else {"start": "MSD_musicnn", "tune": plan.tune}
    return {**start, "labels": [target.name, *target.labels, target.outside]}


def _build(weights: musicnn.Weights | None, target: Target, plan: TrainingPlan) -> Any:
    if weights is None:
        return networks.from_scratch(target.n_classes)
    return networks.from_musicnn(weights, target.n_classes, plan.tune)


def card(trained: Trained, datasets: Sequence[Dataset], plan: TrainingPlan, options: Options) -> str:
    """Write down what was trained on what, how, and how well it does on the validation clips."""
    best = min(trained.history, key=lambda epoch: epoch.validation_loss)
    start = "from scratch" if plan.scratch else f"from MSD_musicnn (Pons and Serra 2019, ISC), tuned: {plan.tune}"
    known = any(clip.group != clip.name for one in datasets for clip in one.clips)
    others = "artists" if known else "recordings, whose artists are not known"
    rows = "\n".join(
        f"| {label} | {n} |" for label, n in sorted(trained.first_labels.items(), key=lambda item: -item[1])
    )
    return f"""# Model card

Trained {start}.
{len(trained.history)} epochs, seed {options.seed}; the last sitting took {max(1, round(trained.seconds / 60))} min.

* Music: {", ".join(one.name for one in datasets)}; {trained.n_training} clips to train on, {trained.n_validation} of
  other {others}, to validate on, {len(trained.problems)} left out.
* Classes: {", ".join(trained.target.labels)}{", or none of them" if trained.target.outside else ""}.
* Best epoch: validation loss {best.validation_loss:.3f}, {100 * best.validation_accuracy:.1f}% of those right.
  The epoch was chosen on these clips, and calibration fitted on them: expect less on others, and run
  `genrify-tag evaluate` on music kept apart.
* Calibration: {json.dumps(trained.calibration)}; nothing is written below a confidence of {trained.threshold:.2f}.
* Keras and LiteRT differ by at most {trained.agreement:.1e} in any probability.

| First label | Clips |
|---|---|
{rows}

Options: `{json.dumps(asdict(options))}`
"""
