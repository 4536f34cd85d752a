"""Fitting how evidence is joined: the same parameters as SciPy's, and a minimum within the bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from genrify_tagger.decision.evidence import KNOWN, STRANGER, join_evidence
from genrify_tagger.learn.bounded_newton import minimise_within
from genrify_tagger.learn.evidence_fit import fit_calibration, fit_weights, start_weights
from genrify_tagger.learn.held_out import Songs, held_out_evidence

_EXACT = {"ftol": 0.0, "gtol": 1e-11, "maxiter": 10_000, "maxfun": 100_000}


def library_of(rng, n, genres, *, genres_a_song=1) -> Songs:
    """Return songs whose sound, artist and album tell their genres about as well as in a real library."""
    classes = rng.integers(0, genres, n)
    artists = classes * 10 + rng.integers(0, 10, n)
    strays = rng.random(n) < 0.2
    allowed = np.eye(genres, dtype=bool)[classes]
    for _ in range(genres_a_song - 1):
        allowed[np.arange(n), rng.integers(0, genres, n)] = True
    sound = rng.normal(size=(genres, 12))[classes] + rng.normal(scale=1.5, size=(n, 12))
    return Songs(
        features=sound.astype(np.float32),
        coarse_columns=np.arange(5),
        leaf_probabilities=rng.dirichlet(np.ones(4), n),
        genres=classes,
        allowed=allowed,
        judged=np.ones(n, bool),
        artists=np.where(strays, rng.integers(0, genres * 10, n), artists),
        albums=np.where(strays, -1, artists * 3 + rng.integers(0, 3, n)),
        weights=rng.choice([1.0, 3.0], n),
    )


def scipy_weights(scores, allowed, weights):
    start = start_weights()
    scale = np.array([max(float(np.abs(score).mean()), 1e-6) for score in scores])

    def loss(vector):
        found = join_evidence(scores, vector)
        right = found * allowed
        total = right.sum(axis=1) + 1e-12
        slope = weights[:, np.newaxis] * (found - right / total[:, np.newaxis])
        pull = (vector - start) * scale
        gradient = np.array([np.vdot(score, slope) for score in scores]) + pull * scale
        return -float(weights @ np.log(total)) + 0.5 * float(pull @ pull), gradient

    bounds = [(0, None)] * len(start)
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=_EXACT).x


def scipy_calibration(probabilities, is_right, weights):
    best = np.clip(probabilities.max(axis=1), 1e-6, 1 - 1e-6)
    odds, target = np.log(best / (1 - best)), is_right.astype(float)

    def loss(vector):
        z = vector[0] * odds + vector[1]
        error = weights * (1 / (1 + np.exp(-z)) - target)
        value = float(weights @ (np.logaddexp(0, z) - target * z)) + 0.5 * ((vector[0] - 1) ** 2 + vector[1] ** 2)
        return value, np.array([error @ odds + vector[0] - 1, error.sum() + vector[1]])

    bounds = [(0.05, 5), (-9, 9)]
    return minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=bounds, options=_EXACT).x


@pytest.mark.parametrize("regime", [STRANGER, KNOWN])
@pytest.mark.parametrize(("n", "genres", "genres_a_song"), [(80, 3, 1), (400, 8, 1), (400, 8, 2)])
def test_the_parameters_are_those_of_scipy(regime, n, genres, genres_a_song):
    songs = library_of(np.random.default_rng(n + genres), n, genres, genres_a_song=genres_a_song)
    evidence = held_out_evidence(songs, regime)
    weights = fit_weights(evidence, songs.allowed, songs.weights)
    assert weights == pytest.approx(scipy_weights(evidence, songs.allowed, songs.weights), abs=1e-6)
    assert not np.allclose(weights, start_weights(), atol=0.05)
    probabilities = join_evidence(evidence, weights)
    right = songs.allowed[np.arange(n), probabilities.argmax(axis=1)]
    slope, bias = fit_calibration(probabilities, right, songs.weights)
    assert (slope, bias) == pytest.approx(tuple(scipy_calibration(probabilities, right, songs.weights)), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_from_the_minimum_no_way_leads_down(seed):
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(4, 4))
    hessian, linear = half @ half.T + 0.01 * np.eye(4), rng.normal(size=4)
    lower, upper = np.full(4, -0.5), np.full(4, 0.5)
    found = minimise_within(
        lambda x: (float(x @ hessian @ x / 2 - linear @ x), hessian @ x - linear, hessian), np.zeros(4), lower, upper
    )
    gradient = hessian @ found - linear
    assert ((found >= lower) & (found <= upper)).all()
    assert (np.abs(gradient[(found > lower) & (found < upper)]) < 1e-6).all()
    assert (gradient[found == lower] > -1e-6).all()
    assert (gradient[found == upper] < 1e-6).all()


def test_where_the_function_bends_the_other_way_the_steps_go_down_all_the_same():
    def double_well(x):
        value = float((x[0] ** 2 - 1) ** 2)
        return value, 4 * x * (x**2 - 1), np.array([[12 * x[0] ** 2 - 4]])

    for start in (0.1, -0.1, 5.0):
        found = minimise_within(double_well, np.array([start]), np.array([-9.0]), np.array([9.0]))
        assert found[0] == pytest.approx(np.sign(start), abs=1e-6)
