"""Minimise a smooth function of a few parameters within bounds: projected Newton steps (Bertsekas 1982)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
#: Value, gradient and Hessian at a point.
Objective = Callable[[Array], tuple[float, Array, Array]]

_MAX_STEPS = 100
_CLOSE = 1e-9  # a step that moves no parameter further than this is the last
_ARMIJO = 1e-4
_AT_BOUND = 1e-3
_SHORTEST = 1e-10
_LEAST_CURVATURE = 1e-8


def minimise_within(objective: Objective, start: Array, lower: Array, upper: Array) -> Array:
    """Return where a function is smallest between `lower` and `upper`, from `start` downhill.

    Where the function is not convex its curvature is taken by amount, so that every step goes down.

    Parameters
    ----------
    objective : callable
        Returns value, gradient of shape (n,) and Hessian of shape (n, n).
    start, lower, upper : ndarray, shape (n,)

    References
    ----------
    D. P. Bertsekas: Projected Newton methods for optimization problems with simple constraints (SIAM J. Control
    Optim. 20, 1982).
    """
    point = np.clip(start, lower, upper)
    value, gradient, hessian = objective(point)
    for _ in range(_MAX_STEPS):
        direction = _direction(point, gradient, hessian, lower, upper)
        length = 1.0
        while length > _SHORTEST:
            moved = np.clip(point + length * direction, lower, upper)
            moved_value, moved_gradient, moved_hessian = objective(moved)
            if moved_value <= value + _ARMIJO * float(gradient @ (moved - point)):
                break
            length /= 2
        else:
            return point  # no lower value within the precision of the numbers
        step = float(np.abs(moved - point).max())
        point, value, gradient, hessian = moved, moved_value, moved_gradient, moved_hessian
        if step <= _CLOSE:
            break
    return point


def _direction(point: Array, gradient: Array, hessian: Array, lower: Array, upper: Array) -> Array:
    """Return Newton's direction for the parameters that are free, and straight down for those held at a bound."""
    near = min(_AT_BOUND, float(np.abs(point - np.clip(point - gradient, lower, upper)).max()))
    held = ((point <= lower + near) & (gradient > 0)) | ((point >= upper - near) & (gradient < 0))
    free = ~held
    direction = -gradient / np.maximum(np.abs(np.diag(hessian)), _LEAST_CURVATURE)
    if free.any():
        curvatures, axes = np.linalg.eigh(hessian[np.ix_(free, free)])
        bent = np.maximum(np.abs(curvatures), _LEAST_CURVATURE)
        direction[free] = -axes @ ((axes.T @ gradient[free]) / bent)
    return direction
