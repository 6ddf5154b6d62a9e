"""From means of products to tensors: unbiased connected estimates, jackknife errors and covariances.

Statistics of an ensemble are the means, over the members of each group, of the products listed in :data:`MOMENTS`. They are
small, and ensembles merge by joining their groups. Where it is exact, a product is already averaged over what the layers
below leave open: preactivations enter by their covariance G given the layer below. In a residual network G is their second
moment, averaged over neurons, which have different means; what a neuron and itself add to products is taken off again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Means = Mapping[str, Array]

# the means that each tensor is made of
MOMENTS: dict[str, tuple[str, ...]] = {
    "K": ("mean_G",),
    "V": ("mean_G", "mean_GG"),
    "V6": ("mean_G", "mean_GG", "mean_GGG"),
    "Theta": ("mean_H",),
    "D": ("mean_G", "mean_H", "mean_GH"),
    "F": ("mean_zzH",),
    "A": ("mean_H11", "mean_H22", "mean_H11H22"),
    "B": ("mean_H12H12",),
}

# and in a residual network
RESIDUAL_MOMENTS: dict[str, tuple[str, ...]] = {
    "K": ("mean_G",),
    "T3": ("mean_z", "mean_G", "mean_zG", "mean_zG_same"),
    "V": ("mean_G", "mean_GG", "mean_GG_same"),
    "Theta": ("mean_H",),
}


def estimates(means: Means, widths_below: npt.ArrayLike, members: int) -> dict[str, Array]:
    """Unbiased estimates of the tensors from the means over ``members`` members.

    Parameters
    ----------
    means
        Arrays (..., layer, inputs); leading axes are carried along.
    widths_below
        n_{l-1} of each layer, the factor stripped off the connected correlators.
    members
        Number of members in each mean (three or more for V6); a covariance of means is biased by 1 - 1/members.

    Returns
    -------
    Every tensor that the means suffice for: arrays (..., layer, inputs) in the slot order of the theory.
    """
    n = np.asarray(widths_below, dtype=np.float64)[:, None, None, None, None]
    unbiased = n * members / (members - 1)
    rules: dict[str, Callable[..., Array]] = {
        "K": lambda G: G,
        "T3": lambda z, G, zG, same: (
            unbiased[..., 0] * (zG - z[..., None, None] * G[..., None, :, :]) - n[..., 0] * same
        ),
        "V": lambda G, GG, same=0.0: unbiased * (GG - _product(G, G)) - n * same,
        "V6": lambda G, GG, GGG: n[..., 0, 0, 0] * unbiased[..., 0, 0, 0] * _third_cumulant(G, GG, GGG, members),
        "Theta": lambda H: H,
        "D": lambda G, H, GH: unbiased * (GH - _product(G, H)),
        "F": lambda zzH: n * _exchanged(zzH),
        "A": lambda H1, H2, HH: unbiased * _exchanged(HH - _product(H1, H2)),
        "B": lambda HH: n * _exchanged(HH),
    }
    return {
        tensor: rules[tensor](*(means[name] for name in names))
        for tensor, names in (*MOMENTS.items(), *RESIDUAL_MOMENTS.items())  # the latter ask for more, so they go last
        if all(name in means for name in names)
    }


def _product(left: Array, right: Array) -> Array:
    return np.asarray(left[..., :, :, None, None] * right[..., None, None, :, :])


def _third_cumulant(G: Array, GG: Array, GGG: Array, members: int) -> Array:
    """E[G_aa^3]_c of the metric, which is the coefficient of the 15 pairings of six equal inputs, times 1 - 1/members."""
    g, gg = np.einsum("...aa->...a", G), np.einsum("...aaaa->...a", GG)
    return np.asarray((GGG - 3 * gg * g + 2 * g**3) * members / (members - 2))


def _exchanged(tensor: Array) -> Array:
    """Average over exchange of the slots (12) with (34), which the two neurons' exchange makes a symmetry."""
    return (tensor + np.moveaxis(tensor, (-4, -3), (-2, -1))) / 2


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
