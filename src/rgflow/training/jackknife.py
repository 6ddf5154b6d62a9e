"""Jackknife over groups of members, for any function of the means over groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Means = Mapping[str, Array]
GroupEstimator = Callable[[Means, int], dict[str, Array]]


def jackknife_errors(estimator: GroupEstimator, groups: Means) -> dict[str, Array]:
    """Return estimates and, as ``<name>_stderr``, their delete-one-group errors, sqrt((G - 1)/G sum_k (q_(k) - mean q)^2).

    Parameters
    ----------
    estimator
        Function (means, G) of means over G groups.
    groups
        Arrays (group, ...), of three groups or more.
    """
    count = len(next(iter(groups.values())))
    means = {name: values.mean(axis=0) for name, values in groups.items()}
    full = estimator(means, count)
    first, second = ({name: np.zeros_like(value) for name, value in full.items()} for _ in range(2))
    for k in range(count):
        left = {name: means[name] + (means[name] - values[k]) / (count - 1) for name, values in groups.items()}
        for name, value in estimator(left, count - 1).items():
            deviation = value - full[name]
            first[name] += deviation
            second[name] += deviation**2
    errors = {}
    for name in full:
        spread = np.maximum(second[name] - first[name] ** 2 / count, 0.0)
        errors[f"{name}_stderr"] = np.sqrt((count - 1) / count * spread)
    return {**full, **errors}


def unbiased_square(square_of_mean: Array, mean_square: Array, groups: int) -> Array:
    """Return the unbiased estimate of E[x] E[x]', from x x' of the mean over groups and the mean of x x' over groups."""
    return np.asarray((groups * square_of_mean - mean_square) / (groups - 1))
