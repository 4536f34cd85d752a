"""From a trained network to the files the tagger runs: flatbuffer and sidecar, with proof that they say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from genrify_tagger.classifier import Classifier
from genrify_tagger.errors import ModelError
from genrify_tagger.spectrogram import FRONT_END
from genrify_tagger.training import calibration, flatbuffer, musicnn, prune
from genrify_tagger.training.networks import published_form
from genrify_tagger.training.vocabularies import Target

TOLERANCE = 1e-3
FEWEST = 20  # clips that calibration can be fitted on
DEFAULT_CONFIDENCE = 0.6

FloatArray = npt.NDArray[np.float32]


def assemble(model: Any, target: Target, weights: musicnn.Weights | None) -> Any:
    """Give a trained network the outputs the tagger expects, and MSD_musicnn's part its fast form.

    Parameters
    ----------
    model : keras.Model
        Of `networks.from_musicnn` or `networks.from_scratch`.
    target : Target
    weights : mapping or None
        The published weights it was begun with; None if from scratch.
    """
    mel = keras.Input((musicnn.FRAMES, musicnn.BANDS), name="mel")
    if weights is None:
        embedding = keras.Model(model.input, model.get_layer("trunk").output)(mel)
    else:
        trained = published_form(model.get_layer("trunk"), weights)
        embedding = prune.embed(mel, trained)
    joint = model.get_layer("head")(embedding)
    inside = joint[:, : len(target.labels)]
    outputs = {target.name: inside, "embedding": embedding}
    if target.outside:
        outputs[target.name] = inside / ops.sum(inside, axis=1, keepdims=True)
        outputs["outside"] = joint[:, -1:]
    # The sidecar always lists tags; a network from scratch has none but its labels.
    outputs["tags"] = inside * 1.0 if weights is None else prune.tag_probabilities(embedding, weights)
    return keras.Model(mel, outputs, name="genrify")


def frozen(model: Any) -> Callable[[Any], Any]:
    """Return a network as a function whose weights are constants, since the runtime has no variables."""
    trained = [variable.numpy() for variable in model.trainable_variables]
    other = [variable.numpy() for variable in model.non_trainable_variables]

    def call(mel: Any) -> Any:
        outputs, _ = model.stateless_call(trained, other, mel, training=False)
        return outputs

    return call


def describe(
    target: Target, tags: Sequence[str] | None, embedding_size: int, calibration: Mapping[str, float], threshold: float
) -> dict[str, Any]:
    """Return what the sidecar holds beside the flatbuffer's name and hash."""
    vocabulary = {
        "kind": "single",
        "labels": list(target.labels),
        "output": target.name,
        "outside": "outside" if target.outside else None,
        "names": target.written(),
        "calibration": dict(calibration),
        "min_confidence": threshold,
    }
    return {
        "front_end": asdict(FRONT_END),
        "vocabularies": {target.name: vocabulary},
        "tags": list(tags or target.labels),
        "embedding_size": embedding_size,
    }


def fit_calibration(means: FloatArray, open_classes: FloatArray, target: Target) -> tuple[dict[str, float], float]:
    """Fit calibration and threshold on clips the network had not met.

    Parameters
    ----------
    means : ndarray, shape (n_clips, n_classes)
        Mean probabilities of each clip.
    open_classes : ndarray, shape (n_clips, n_classes)
    target : Target

    Returns
    -------
    calibration : dict
        Numbers for `decision.decide`; neutral ones if there are too few clips, or none of them is wrong.
    threshold : float
    """
    n_labels = len(target.labels)
    joint = means.astype(np.float64)
    answers = open_classes[:, :n_labels] > 0
    inside = joint[:, :n_labels].sum(axis=1)
    hits = answers[np.arange(len(joint)), joint[:, :n_labels].argmax(axis=1)]
    if len(joint) < FEWEST or hits.all() or not hits.any():
        return {"temperature": 1.0, "bias": 0.0, "top": 1.0, "inside": float(target.outside)}, DEFAULT_CONFIDENCE
    songs = calibration.CalibrationSongs(joint[:, :n_labels] / inside[:, np.newaxis], inside, answers, hits)
    weights = np.ones(len(joint))
    fitted = {name: round(value, 4) for name, value in calibration.fit_confidence(songs, weights).items()}
    confidence = calibration.confidences(songs, fitted)
    return fitted, calibration.choose_threshold(confidence, hits, weights)


def check(model: Any, target: Target, folder: Path, mel: FloatArray) -> float:
    """Hold what was written against the network it was made from.

    Parameters
    ----------
    model : keras.Model
        The trained network, not the assembled one, so that assembly is checked too.
    target : Target
    folder : Path
        Where flatbuffer and sidecar are.
    mel : ndarray, shape (n, 187, 96)
        Segments to compare on.

    Returns
    -------
    float
        Largest difference of any class probability.

    Raises
    ------
    ModelError
        If it is above `TOLERANCE`.
    """
    expected = np.asarray(model.predict(mel, verbose=0))
    outputs = Classifier(str(folder / flatbuffer.SIDECAR)).predict(mel)
    found = outputs[target.name]
    if target.outside:
        found = np.concatenate([found * (1 - outputs["outside"]), outputs["outside"]], axis=1)
    difference = float(np.abs(found - expected).max())
    if difference > TOLERANCE:
        raise ModelError(f"Keras and LiteRT differ by {difference:.2g}", path=str(folder))
    return difference
