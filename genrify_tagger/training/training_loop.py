"""The training loop: epochs, validation, checkpoints, early stopping, resuming.

A run lives in a folder: `last.keras` and `run.json` are written after every epoch (to resume from), `best.keras`
whenever the validation loss is the lowest so far.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from genrify_tagger import open_files
from genrify_tagger.errors import ConfigError
from genrify_tagger.spectrogram import log_mel
from genrify_tagger.training.augmentation import Augmentation
from genrify_tagger.training.decoded_cache import SEGMENT_SAMPLES, DecodedClip, cut_segment
from genrify_tagger.training.trainable_networks import open_label_loss
from genrify_tagger.training.training_batches import EpochBatches

VALIDATION_SEGMENTS = 4
LAST, BEST, STATE = "last.keras", "best.keras", "run.json"

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training run.

    Attributes
    ----------
    epochs, steps, batch : int
        Largest number of epochs, batches in an epoch, segments in a batch.
    learning_rate, weight_decay : float
        Of AdamW.
    patience : int
        Number of epochs without a lower validation loss after which training stops.
    seed : int
    augmentation : Augmentation
    """

    epochs: int = 30
    steps: int = 60
    batch: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    patience: int = 6
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class EpochResult:
    """Mean training loss, validation loss, and share of validation clips that are right."""

    loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, eq=False)
class LabelledClips:
    """Clips with the classes their labels leave open, shape (n_clips, n_classes)."""

    entries: Sequence[DecodedClip]
    targets: FloatArray


def run_training(
    build: Callable[[], Any],
    training: LabelledClips,
    validation: LabelledClips,
    options: TrainingOptions,
    folder: Path,
    *,
    network: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Any, list[EpochResult]]:
    """Train a network, or resume a run that was interrupted.

    Parameters
    ----------
    build : callable
        Builds the untrained network.
    training, validation : LabelledClips
    options : TrainingOptions
    folder : Path
    network : mapping or None
        The options that determine the network, by name. They must be the same for a run to be resumed.
    tell : callable
        Receives a line about every epoch.

    Returns
    -------
    model : keras.Model
        The one with the lowest validation loss.
    history : list of EpochResult

    Raises
    ------
    ConfigError
        If the folder holds a run of another network, with other options or other music.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = {**(network or {}), **_identity(training, validation, options)}
    history = _read_state(folder, identity)
    keras.utils.set_random_seed(options.seed)
    model = keras.models.load_model(folder / LAST) if history else _compiled(build(), options)
    mel, owner = validation_mel(validation.entries)
    for epoch in range(len(history), options.epochs):
        if _stale(history) >= options.patience:
            tell(f"no improvement since epoch {len(history) - options.patience}; stopped")
            break
        history.append(_epoch(model, training, validation, (mel, owner), options, epoch))
        _write_state(folder, identity, history, model)
        done = history[-1]
        tell(
            f"epoch {epoch + 1}/{options.epochs}: loss {done.loss:.3f}, validation loss {done.validation_loss:.3f}, "
            f"{100 * done.validation_accuracy:.1f}% of {len(validation.entries)} validation clips right"
        )
    return keras.models.load_model(folder / BEST), history


def validation_mel(entries: Sequence[DecodedClip]) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return evenly spaced segments of every clip, (n, 187, 96), and the number of the clip each is of, (n,)."""
    segments, owner = [], []
    for number, entry in enumerate(entries):
        y = entry.load()
        n = max(1, min(VALIDATION_SEGMENTS, len(y) // SEGMENT_SAMPLES))
        for start in np.linspace(0, max(0, len(y) - SEGMENT_SAMPLES), n + 2, dtype=int)[1:-1]:
            segments.append(cut_segment(y, int(start)))
            owner.append(number)
    return np.concatenate([log_mel(one[np.newaxis]) for one in segments]), np.array(owner)


def clip_means(values: FloatArray, owner: npt.NDArray[np.int64]) -> FloatArray:
    """Average segments into clips, shape (n_clips, n_columns)."""
    return np.stack([values[owner == number].mean(axis=0) for number in range(int(owner.max()) + 1)])


def _epoch(
    model: Any,
    training: LabelledClips,
    validation: LabelledClips,
    segments: tuple[FloatArray, npt.NDArray[np.int64]],
    options: TrainingOptions,
    epoch: int,
) -> EpochResult:
    batches = EpochBatches(
        training.entries,
        training.targets,
        options.augmentation,
        batch=options.batch,
        steps=options.steps,
        seed=options.seed,
        epoch=epoch,
    )
    _reseed(model, options.seed, epoch)
    loss = _train(model, batches)
    means = clip_means(np.asarray(model.predict(segments[0], verbose=0)), segments[1])
    right = validation.targets[np.arange(len(means)), means.argmax(axis=1)] > 0
    open_mass = (means * validation.targets).sum(axis=1)
    return EpochResult(float(loss), float(-np.log(open_mass + 1e-7).mean()), float(right.mean()))


def _train(model: Any, batches: EpochBatches) -> float:
    """Train on an epoch's batches and return the mean loss.

    Keras's `fit` is not used because it waits for its own threads for up to a minute when interrupted.
    """
    losses = []
    for mel, targets in batches:
        model.reset_metrics()  # some versions of Keras return the mean over all batches so far
        losses.append(float(model.train_on_batch(mel, targets)))
    return float(np.mean(losses))


def _reseed(model: Any, seed: int, epoch: int) -> None:
    """Reset the random state of dropout, so that an epoch does not depend on where the run was interrupted."""
    states = [variable for variable in model.variables if variable.name == "seed_generator_state"]
    for number, state in enumerate(states):
        state.assign(np.array([seed + 1000 * epoch + number, 0], np.uint32))


def _compiled(model: Any, options: TrainingOptions) -> Any:
    optimizer = keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay, clipnorm=1.0)
    model.compile(optimizer=optimizer, loss=open_label_loss)
    return model


def _stale(history: Sequence[EpochResult]) -> int:
    """Return the number of epochs since the lowest validation loss."""
    losses = [epoch.validation_loss for epoch in history]
    return len(losses) - 1 - int(np.argmin(losses)) if losses else 0


def _identity(training: LabelledClips, validation: LabelledClips, options: TrainingOptions) -> dict[str, Any]:
    """Return what must be the same for a run to be resumed; epochs and patience may change."""
    same = {key: value for key, value in asdict(options).items() if key not in ("epochs", "patience")}
    parts = {"training music": training, "validation music": validation}
    return {**same, **{name: _fingerprint(part) for name, part in parts.items()}}


def _fingerprint(part: LabelledClips) -> str:
    """Return a fingerprint of clips and labels."""
    digest = hashlib.blake2b(part.targets.tobytes(), digest_size=8)
    digest.update("\n".join(entry.clip.name for entry in part.entries).encode("utf-8", "surrogateescape"))
    return f"{len(part.entries)} clips, {digest.hexdigest()}"


def _read_state(folder: Path, identity: dict[str, Any]) -> list[EpochResult]:
    if not (folder / STATE).exists():
        return []
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    differing = [key for key, value in identity.items() if state["identity"].get(key) != json.loads(json.dumps(value))]
    if differing:
        raise ConfigError(
            f"holds a run with another {', '.join(differing)}", path=str(folder), hint="name another folder"
        )
    return [EpochResult(**epoch) for epoch in state["history"]]


def _write_state(folder: Path, identity: dict[str, Any], history: Sequence[EpochResult], model: Any) -> None:
    """Save the model, then the state that refers to it; each is replaced atomically."""
    if not _stale(history):
        _save(model, folder / BEST)
    _save(model, folder / LAST)
    state = {"identity": identity, "history": [asdict(epoch) for epoch in history]}
    open_files.write_file(str(folder / STATE), f"{json.dumps(state, indent=1)}\n".encode())


def _save(model: Any, path: Path) -> None:
    partial = path.with_name(f"partial-{path.name}")
    model.save(partial)
    os.replace(partial, path)
