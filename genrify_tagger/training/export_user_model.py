"""Export of a user's trained network: the tagger's flatbuffer and sidecar, calibrated, and checked against Keras."""

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
from genrify_tagger.training import calibration, fast_musicnn, musicnn_weights
from genrify_tagger.training.target_classes import TargetClasses
from genrify_tagger.training.trainable_networks import published_weights

TOLERANCE = 1e-3
MIN_CLIPS = 20  # for fitting the calibration
DEFAULT_CONFIDENCE = 0.6

FloatArray = npt.NDArray[np.float32]


def build_tagger_network(model: Any, target: TargetClasses, weights: musicnn_weights.Weights | None) -> Any:
    """Build the network that the tagger runs from a trained one, with MSD_musicnn in its fast form.

    Parameters
    ----------
    model : keras.Model
        From `trainable_networks.from_musicnn` or `from_scratch`.
    target : TargetClasses
    weights : mapping or None
        The published weights that training started from; None if from scratch.
    """
    mel = keras.Input((musicnn_weights.FRAMES, musicnn_weights.BANDS), name="mel")
    if weights is None:
        embedding = keras.Model(model.input, model.get_layer("trunk").output)(mel)
    else:
        trained = published_weights(model.get_layer("trunk"), weights)
        embedding = fast_musicnn.musicnn_embedding(mel, trained)
    joint = model.get_layer("head")(embedding)
    inside = joint[:, : len(target.labels)]
    outputs = {target.name: inside, "embedding": embedding}
    if target.outside:
        outputs[target.name] = inside / ops.sum(inside, axis=1, keepdims=True)
        outputs["outside"] = joint[:, -1:]
    # The sidecar must list tags; for a network trained from scratch these are its labels.
    outputs["tags"] = inside * 1.0 if weights is None else fast_musicnn.tag_probabilities(embedding, weights)
    return keras.Model(mel, outputs, name="genrify")


def freeze_weights(model: Any) -> Callable[[Any], Any]:
    """Return a network as a function whose weights are constants, since LiteRT has no variables."""
    trained = [variable.numpy() for variable in model.trainable_variables]
    other = [variable.numpy() for variable in model.non_trainable_variables]

    def call(mel: Any) -> Any:
        outputs, _ = model.stateless_call(trained, other, mel, training=False)
        return outputs

    return call


def user_sidecar_content(
    target: TargetClasses,
    tags: Sequence[str] | None,
    embedding_size: int,
    calibration: Mapping[str, float],
    threshold: float,
) -> dict[str, Any]:
    """Return the sidecar's content, except for name and hash of the flatbuffer."""
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


def calibrate_on_clips(
    means: FloatArray, open_classes: FloatArray, target: TargetClasses
) -> tuple[dict[str, float], float]:
    """Fit calibration and threshold on clips that the network was not trained on.

    Parameters
    ----------
    means : ndarray, shape (n_clips, n_classes)
        Mean probabilities of each clip.
    open_classes : ndarray, shape (n_clips, n_classes)
    target : TargetClasses

    Returns
    -------
    calibration : dict
        For `decision.decide`; neutral if there are too few clips, or all of them are right or all wrong.
    threshold : float
    """
    n_labels = len(target.labels)
    joint = means.astype(np.float64)
    answers = open_classes[:, :n_labels] > 0
    inside = joint[:, :n_labels].sum(axis=1)
    hits = answers[np.arange(len(joint)), joint[:, :n_labels].argmax(axis=1)]
    if len(joint) < MIN_CLIPS or hits.all() or not hits.any():
        return {"temperature": 1.0, "bias": 0.0, "top": 1.0, "inside": float(target.outside)}, DEFAULT_CONFIDENCE
    songs = calibration.CalibrationSongs(joint[:, :n_labels] / inside[:, np.newaxis], inside, answers, hits)
    weights = np.ones(len(joint))
    fitted = {name: round(value, 4) for name, value in calibration.fit_confidence(songs, weights).items()}
    confidence = calibration.confidences(songs, fitted)
    return fitted, calibration.choose_threshold(confidence, hits, weights)


def check_runtime(model: Any, target: TargetClasses, folder: Path, mel: FloatArray) -> float:
    """Compare the written model, run by LiteRT, with the trained network.

    Parameters
    ----------
    model : keras.Model
        The trained network itself, so that `build_tagger_network` is checked too.
    target : TargetClasses
    folder : Path
        The folder with flatbuffer and sidecar.
    mel : ndarray, shape (n, 187, 96)
        Segments to compare them on.

    Returns
    -------
    float
        The largest difference in any class probability.

    Raises
    ------
    ModelError
        If it is above `TOLERANCE`.
    """
    expected = np.asarray(model.predict(mel, verbose=0))
    outputs = Classifier(str(folder)).predict(mel)
    found = outputs[target.name]
    if target.outside:
        found = np.concatenate([found * (1 - outputs["outside"]), outputs["outside"]], axis=1)
    difference = float(np.abs(found - expected).max())
    if difference > TOLERANCE:
        raise ModelError(f"Keras and LiteRT differ by {difference:.2g}", path=str(folder))
    return difference
