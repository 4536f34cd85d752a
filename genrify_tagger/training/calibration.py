"""Calibration of a song's scores into a confidence, and the lowest threshold that is precise enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision import group_score, log_odds, temper

# Above the 93% that is promised, because a threshold chosen on some songs is less precise on others. Of the values
# tried it is the lowest with which 93% held on the folds that the threshold was not chosen on.
PRECISION = 0.9375
COMPANION = 0.3
# Most labels of pop, rock and metal leave open which of the three it is, so the network spreads its probability over
# them. Maximum likelihood on the few labels that are clear gives 0.8; at 0.5 and below, the best genre of a song is
# nearly always one of the group that is likelier than any other genre.
ALIKE_TEMPERATURE = 0.5

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationSongs:
    """Songs whose scores come from a network that was not trained on them.

    Attributes
    ----------
    conditional : ndarray, shape (n, n_labels)
        Scores given that one of the labels fits.
    inside : ndarray, shape (n,)
        Probability that one of the labels fits.
    answers : ndarray of bool, shape (n, n_labels)
        Which labels count as right.
    right : ndarray of bool, shape (n,)
        Whether the best label is one of them.
    """

    conditional: FloatArray
    inside: FloatArray
    answers: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]

    def subset(self, chosen: npt.NDArray[np.bool_]) -> CalibrationSongs:
        """Return the songs marked True."""
        return CalibrationSongs(self.conditional[chosen], self.inside[chosen], self.answers[chosen], self.right[chosen])


def fit_confidence(songs: CalibrationSongs, weights: FloatArray, alike: Sequence[int] = ()) -> dict[str, float]:
    """Fit the calibration that `decision.decide` applies.

    Parameters
    ----------
    songs : CalibrationSongs
    weights : ndarray, shape (n,)
    alike : sequence of int
        Columns of labels that are hard to tell apart.
    """
    temperature = _fit_temperature(songs, weights)
    evidence = _evidence(temper(songs.conditional, temperature), songs.inside, alike)
    used = [name for name in evidence if alike or name != "group"]
    bias, found = _fit_logistic(np.column_stack([evidence[name] for name in used]), songs.right, weights)
    numbers = {"temperature": temperature, "bias": bias, **dict(zip(used, found, strict=True)), "companion": COMPANION}
    return {"alike": ALIKE_TEMPERATURE, **numbers} if alike else numbers


def confidences(songs: CalibrationSongs, calibration: Mapping[str, float], alike: Sequence[int] = ()) -> FloatArray:
    """Return each song's confidence as `decision.decide` computes it."""
    evidence = _evidence(temper(songs.conditional, calibration["temperature"]), songs.inside, alike)
    total = sum(values * calibration.get(name, 0.0) for name, values in evidence.items())
    return np.asarray(1 / (1 + np.exp(-(total + calibration["bias"]))))


def choose_threshold(
    confidence: FloatArray, hits: npt.NDArray[np.bool_], weights: FloatArray, precision: float = PRECISION
) -> float:
    """Return the lowest threshold, in hundredths, with the precision asked for; 1 if there is none."""
    for hundredths in range(1, 100):
        written = weights * (confidence >= hundredths / 100)
        if written.sum() > 0 and (written * hits).sum() / written.sum() >= precision:
            return hundredths / 100
    return 1.0


def _fit_temperature(songs: CalibrationSongs, weights: FloatArray) -> float:
    """Find the temperature of highest likelihood by a grid search (the likelihood has one peak)."""
    known = songs.answers.any(axis=1) & (weights > 0)
    conditional, answers = songs.conditional[known], songs.answers[known]

    def loss(temperature: float) -> float:
        return float(-np.log((temper(conditional, temperature) * answers).sum(axis=1)).mean())

    return float(min(np.round(np.arange(0.4, 2.5, 0.02), 2), key=loss))


def _evidence(scores: FloatArray, inside: FloatArray, alike: Sequence[int]) -> dict[str, FloatArray]:
    return {
        "top": np.array([log_odds(float(row.max())) for row in scores]),
        "group": np.array([log_odds(group_score(row, alike)) for row in scores]),
        "inside": np.array([log_odds(float(value)) for value in inside]),
    }


def _fit_logistic(evidence: FloatArray, hits: npt.NDArray[np.bool_], weights: FloatArray) -> tuple[float, list[float]]:
    """Return the bias and a weight for each kind of evidence; a weight that would be negative is 0."""
    from sklearn.linear_model import LogisticRegression

    used = np.ones(evidence.shape[1], bool)
    while True:
        model = LogisticRegression(C=100.0).fit(evidence[:, used], hits, sample_weight=weights)
        found = np.zeros(len(used))
        found[used] = model.coef_[0]
        if (found >= 0).all():
            return float(model.intercept_[0]), found.tolist()
        used &= found >= 0
