"""From samples to tensors: group means of products, unbiased connected estimates, jackknife errors.

Statistics of an ensemble are the means, over the members of each group, of the products listed in :data:`MOMENTS`. They are
small, and ensembles merge by joining their groups. Where it is exact, a product is already averaged over what the layers
below leave open: preactivations enter by their covariance G given the layer below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rgflow.sampling.samples import Samples

Array = npt.NDArray[np.float64]
Means = Mapping[str, Array]

# the means that each tensor is made of
MOMENTS: dict[str, tuple[str, ...]] = {
    "K": ("mean_G",),
    "V": ("mean_G", "mean_GG"),
    "Theta": ("mean_H",),
    "D": ("mean_G", "mean_H", "mean_GH"),
    "F": ("mean_zzH",),
    "A": ("mean_H11", "mean_H22", "mean_H11H22"),
    "B": ("mean_H12H12",),
}


def _outer(left: Tensor, right: Tensor) -> Tensor:
    return torch.einsum("mlab,mlcd->labcd", left, right) / len(left)


def _drawn(samples: Samples, i: int, j: int) -> Tensor:
    assert samples.ntk is not None
    return samples.ntk[:, :, i, j]


def _mean_ntk(samples: Samples) -> Tensor:
    assert samples.ntk_mean is not None
    return samples.ntk_mean


def _cross(samples: Samples) -> Tensor:
    assert samples.cross is not None
    return samples.cross


# means over members, axes (layer, inputs); slots of mean_zzH and mean_H12H12 as in F and B
_MEANS: dict[str, Callable[[Samples], Tensor]] = {
    "mean_G": lambda s: s.metric.mean(0),
    "mean_GG": lambda s: _outer(s.metric, s.metric),
    "mean_H": lambda s: _mean_ntk(s).mean(0),
    "mean_GH": lambda s: _outer(s.metric, _mean_ntk(s)),
    "mean_zzH": _cross,
    "mean_H11": lambda s: _drawn(s, 0, 0).mean(0),
    "mean_H22": lambda s: _drawn(s, 1, 1).mean(0),
    "mean_H11H22": lambda s: _outer(_drawn(s, 0, 0), _drawn(s, 1, 1)),
    "mean_H12H12": lambda s: _outer(_drawn(s, 0, 1), _drawn(s, 0, 1)).transpose(2, 3),
}


def sample_means(samples: Samples, tensors: frozenset[str]) -> dict[str, Array]:
    """Means over the members of some samples that the tensors are made of, each (layer, inputs)."""
    names = dict.fromkeys(name for tensor in MOMENTS if tensor in tensors for name in MOMENTS[tensor])
    return {name: _MEANS[name](samples).cpu().numpy() for name in names}


def estimates(means: Means, widths_below: npt.ArrayLike, members: int) -> dict[str, Array]:
    """Unbiased estimates of the tensors from the means over ``members`` members.

    Parameters
    ----------
    means
        Arrays (..., layer, inputs); leading axes are carried along.
    widths_below
        n_{l-1} of each layer, the factor stripped off the connected correlators.
    members
        Number of members in each mean; a covariance of means is biased by 1 - 1/members.

    Returns
    -------
    Every tensor that the means suffice for: arrays (..., layer, inputs) in the slot order of the theory.
    """
    n = np.asarray(widths_below, dtype=np.float64)[:, None, None, None, None]
    unbiased = n * members / (members - 1)
    rules: dict[str, Callable[..., Array]] = {
        "K": lambda G: G,
        "V": lambda G, GG: unbiased * (GG - _product(G, G)),
        "Theta": lambda H: H,
        "D": lambda G, H, GH: unbiased * (GH - _product(G, H)),
        "F": lambda zzH: n * _exchanged(zzH),
        "A": lambda H1, H2, HH: unbiased * _exchanged(HH - _product(H1, H2)),
        "B": lambda HH: n * _exchanged(HH),
    }
    return {
        tensor: rules[tensor](*(means[name] for name in names))
        for tensor, names in MOMENTS.items()
        if all(name in means for name in names)
    }


def _product(left: Array, right: Array) -> Array:
    return np.asarray(left[..., :, :, None, None] * right[..., None, None, :, :])


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


def with_errors(groups: Means, widths_below: npt.ArrayLike, members: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Estimates from all groups and their jackknife standard errors; parameters as for :func:`jackknife`."""
    count = len(next(iter(groups.values())))
    pooled = estimates({name: values.mean(0) for name, values in groups.items()}, widths_below, members * count)
    replicates = jackknife(groups, widths_below, members)
    return pooled, {name: np.sqrt((count - 1) * values.var(0)) for name, values in replicates.items()}


def layer_covariance(replicates: Array) -> Array:
    """Jackknife covariance between layers of the entries of a tensor with all inputs equal: (input, layer, layer)."""
    count, layers, N = replicates.shape[:3]
    flat = replicates.reshape(count, layers, -1)
    diagonal = flat[..., :: (flat.shape[-1] - 1) // (N - 1) if N > 1 else 1]
    deviation = diagonal - diagonal.mean(0)
    return np.asarray(np.einsum("gla,gma->alm", deviation, deviation) * (count - 1) / count)
