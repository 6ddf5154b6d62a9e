"""Errors and covariances of estimates from groups of members."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rgflow.sampling.estimators import Array, Means, estimates


def jackknife(groups: Means, widths_below: npt.ArrayLike, members: int) -> dict[str, Array]:
    """Replicates of the estimates, each without one group: arrays (group, layer, inputs).

    Parameters
    ----------
    groups
        Group means (group, layer, inputs), at least two groups.
    widths_below
        As for :func:`estimates`.
    members
        Members per group.
    """
    count = len(next(iter(groups.values())))
    without = {name: (values.sum(0) - values) / (count - 1) for name, values in groups.items()}
    return estimates(without, widths_below, members * (count - 1))


def standard_errors(replicates: Array) -> Array:
    """Jackknife standard errors (layer, inputs) from the replicates (group, layer, inputs) of a tensor."""
    return np.asarray(np.sqrt((len(replicates) - 1) * replicates.var(0)))


def layer_covariance(replicates: Array) -> Array:
    """Jackknife covariance between layers of the entries of a tensor with all inputs equal: (input, layer, layer)."""
    count, layers, N = replicates.shape[:3]
    flat = replicates.reshape(count, layers, -1)
    diagonal = flat[..., :: (flat.shape[-1] - 1) // (N - 1) if N > 1 else 1]
    deviation = diagonal - diagonal.mean(0)
    return np.asarray(np.einsum("gla,gma->alm", deviation, deviation) * (count - 1) / count)
