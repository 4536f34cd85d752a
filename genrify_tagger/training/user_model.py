"""A user's own model: from datasets to the files that the tagger runs."""

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

from genrify_tagger.classifier import silent_stderr
from genrify_tagger.errors import ConfigError, ModelError
from genrify_tagger.training import (
    export_user_model,
    flatbuffer,
    musicnn_weights,
    splits,
    trainable_networks,
    training_loop,
)
from genrify_tagger.training.datasets import Dataset, SkippedFile
from genrify_tagger.training.decoded_cache import DecodedClip, decode_clips, default_cache
from genrify_tagger.training.inference import write_trained_on
from genrify_tagger.training.report_plots import plot_history
from genrify_tagger.training.target_classes import TargetClasses, choose_classes, open_class_table
from genrify_tagger.training.training_loop import EpochResult, LabelledClips, TrainingOptions

VERSION = "own"
MODEL, CARD, HISTORY = "model.keras", "MODEL_CARD.md", "history.png"
CHECKED_SEGMENTS = 32
WHEEL = "musicnn-0.1.0-py3-none-any.whl"


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, on what, and from which weights.

    Attributes
    ----------
    vocabulary : str
        One of `target_classes.CHOICES`.
    tune : str
        Which part of MSD_musicnn is trained besides the head, one of `trainable_networks.TUNES`.
    scratch : bool
        Train a small CNN with random initial weights instead.
    wheel : Path or None
        The PyPI wheel with MSD_musicnn's weights; None to download it once.
    validation : list of str or None
        Names of clips to validate on; None for a fifth of the artists.
    cache : Path or None
    jobs : int
    progress : bool
        Whether to show the progress of decoding.
    """

    vocabulary: str = "gtzan"
    tune: trainable_networks.Tune = "mid"
    scratch: bool = False
    wheel: Path | None = None
    validation: Sequence[str] | None = None
    cache: Path | None = None
    jobs: int = 0
    progress: bool = True


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how training went.

    `first_labels` counts the clips by first label; `agreement` is the largest difference between Keras and LiteRT.
    """

    folder: Path
    target: TargetClasses
    history: Sequence[EpochResult]
    n_training: int
    n_validation: int
    first_labels: Mapping[str, int]
    agreement: float
    seconds: float
    calibration: dict[str, float]
    threshold: float
    problems: Sequence[SkippedFile] = field(default=())


def train_user_model(
    datasets: Sequence[Dataset],
    folder: Path,
    plan: TrainingPlan,
    options: TrainingOptions,
    *,
    tell: Callable[[str], None],
) -> TrainingResult:
    """Train a model and write it: `model.keras`, flatbuffer, sidecar, card and a plot of the run.

    Raises
    ------
    ConfigError
        If there is too little music, or the folder holds another run.
    ModelError
        If the published weights cannot be downloaded, or the written model differs from the network.
    """
    begun = time.monotonic()
    weights, tags = (None, None) if plan.scratch else load_published_musicnn(plan, tell)
    clips = [clip for one in datasets for clip in one.clips]
    entries, problems = decode_clips(clips, plan.cache, jobs=plan.jobs, progress=plan.progress)
    target = choose_classes(plan.vocabulary, [entry.clip for entry in entries])
    training, validation = split_validation(entries, target, plan.validation, seed=options.seed)
    n_training, n_validation = len(training.entries), len(validation.entries)
    tell(f"{n_training} training clips, {n_validation} validation clips, {target.n_classes} classes")
    if unlearned := _unlearned(training, target):
        tell(f"no training clip for {', '.join(unlearned)}: such music will not be recognised")

    def build() -> Any:
        return _build(weights, target, plan)

    model, history = training_loop.run_training(
        build, training, validation, options, folder, network=_network(plan, target), tell=tell
    )
    mel, owner = training_loop.validation_mel(validation.entries)
    means = training_loop.clip_means(np.asarray(model.predict(mel, verbose=0)), owner)
    calibration, threshold = export_user_model.calibrate_on_clips(means, validation.targets, target)
    assembled = export_user_model.build_tagger_network(model, target, weights)
    size = int(assembled.output["embedding"].shape[1])
    description = export_user_model.user_sidecar_content(target, tags, size, calibration, threshold)
    with silent_stderr():
        converted = flatbuffer.convert(export_user_model.freeze_weights(assembled))
    flatbuffer.write_model(folder, converted, version=VERSION, description=description)
    model.save(folder / MODEL)
    agreement = export_user_model.check_runtime(model, target, folder, mel[:CHECKED_SEGMENTS])
    left_out = [*(problem for one in datasets for problem in one.problems), *problems]
    trained = TrainingResult(
        folder=folder,
        target=target,
        history=history,
        n_training=n_training,
        n_validation=n_validation,
        first_labels=Counter(entry.clip.labels[0] for part in (training, validation) for entry in part.entries),
        agreement=agreement,
        seconds=time.monotonic() - begun,
        calibration=calibration,
        threshold=threshold,
        problems=left_out,
    )
    write_trained_on(folder, (entry.clip.name for part in (training, validation) for entry in part.entries))
    plot_history(history, folder / HISTORY)
    (folder / CARD).write_text(user_model_card(trained, datasets, plan, options), encoding="utf-8")
    return trained


def load_published_musicnn(
    plan: TrainingPlan, tell: Callable[[str], None]
) -> tuple[musicnn_weights.Weights, list[str]]:
    """Return MSD_musicnn's weights and tag names, downloading the wheel the first time.

    Raises
    ------
    ModelError
        If it cannot be downloaded.
    """
    wheel = plan.wheel or (plan.cache or default_cache()).parent / WHEEL
    if plan.wheel is None and not wheel.exists():
        tell("downloading MSD_musicnn (PyPI, ISC licence)")
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
            hint = "`pip download --no-deps musicnn==0.1.0` elsewhere and use --weights FILE, or use --from-scratch"
            raise ModelError("MSD_musicnn cannot be downloaded", path=str(wheel), hint=hint)
    return musicnn_weights.read_weights(wheel), musicnn_weights.read_tags(wheel)


def split_validation(
    entries: Sequence[DecodedClip], target: TargetClasses, validation: Sequence[str] | None, *, seed: int
) -> tuple[LabelledClips, LabelledClips]:
    """Split clips into training and validation set; no artist is in both.

    Raises
    ------
    ConfigError
        If there are too few clips, or none of those listed.
    """
    chosen, table = open_class_table(target, [entry.clip for entry in entries])
    usable = [entries[number] for number in chosen]
    if validation is not None:
        listed = set(validation)
        groups = {entry.clip.group for entry in usable if entry.clip.name in listed}
        held_out = np.array([entry.clip.group in groups for entry in usable], bool)
    else:
        held_out = _fifth_of_artists(usable, seed)
    if not held_out.any() or held_out.all():
        raise ConfigError("the training set or the validation set is empty", hint="give more clips, or another list")
    parts = (np.flatnonzero(~held_out), np.flatnonzero(held_out))
    training, held = (LabelledClips([usable[at] for at in part], table[part]) for part in parts)
    return training, held


def _fifth_of_artists(entries: Sequence[DecodedClip], seed: int) -> Any:
    groups = [entry.clip.group for entry in entries]
    if len(set(groups)) < 5:
        raise ConfigError("fewer than five clips or artists: too few for a validation set")
    protocol = splits.by_group([entry.clip.labels[0] for entry in entries], groups, seed=seed)
    held_out = np.zeros(len(entries), bool)
    held_out[protocol.folds[0][1]] = True
    return held_out


def _unlearned(training: LabelledClips, target: TargetClasses) -> list[str]:
    """Return the labels that no training clip leaves open."""
    return [label for number, label in enumerate(target.labels) if not training.targets[:, number].any()]


def _network(plan: TrainingPlan, target: TargetClasses) -> dict[str, Any]:
    """Return what determines the network, by the names of the options."""
    start = {"start": "from-scratch"} if plan.scratch else {"start": "MSD_musicnn", "tune": plan.tune}
    return {**start, "labels": [target.name, *target.labels, target.outside]}


def _build(weights: musicnn_weights.Weights | None, target: TargetClasses, plan: TrainingPlan) -> Any:
    if weights is None:
        return trainable_networks.from_scratch(target.n_classes)
    return trainable_networks.from_musicnn(weights, target.n_classes, plan.tune)


def user_model_card(
    trained: TrainingResult, datasets: Sequence[Dataset], plan: TrainingPlan, options: TrainingOptions
) -> str:
    """Return the model card: data, options and validation accuracy."""
    best = min(trained.history, key=lambda epoch: epoch.validation_loss)
    start = "from scratch" if plan.scratch else f"from MSD_musicnn (Pons and Serra 2019, ISC), tuned: {plan.tune}"
    known = any(clip.group != clip.name for one in datasets for clip in one.clips)
    others = "artists" if known else "recordings, whose artists are not known"
    rows = "\n".join(
        f"| {label} | {n} |" for label, n in sorted(trained.first_labels.items(), key=lambda item: -item[1])
    )
    return f"""# Model card

Trained {start}.
{len(trained.history)} epochs, seed {options.seed}; the last session took {max(1, round(trained.seconds / 60))} min.

* Music: {", ".join(one.name for one in datasets)}; {trained.n_training} training clips, {trained.n_validation}
  validation clips of other {others}, {len(trained.problems)} clips left out.
* Classes: {", ".join(trained.target.labels)}{", or none of them" if trained.target.outside else ""}.
* Best epoch: validation loss {best.validation_loss:.3f}, {100 * best.validation_accuracy:.1f}% of those right.
  The epoch was chosen and the calibration fitted on these clips: expect less on other music, and run
  `genrify-tag evaluate` on music that is in neither set.
* Calibration: {json.dumps(trained.calibration)}; nothing is written below a confidence of {trained.threshold:.2f}.
* Keras and LiteRT differ by at most {trained.agreement:.1e} in any probability.

| First label | Clips |
|---|---|
{rows}

Options: `{json.dumps(asdict(options))}`
"""
