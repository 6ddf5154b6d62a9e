"""Which errors of an ensemble cannot be known, because its means are carried by networks too rare to be among its members.

Far off criticality, and where networks are deep and narrow, the fluctuations of a network's kernel are nearly log-normal. With
R their relative variance, the relative variance of a product of p kernels is (1 + R)^(p^2) - 1. Where that over the number of
members is not small, neither the mean nor the scatter that its error is taken from have seen the networks that make them.
Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rgflow.sampling.estimators import ESTIMATORS
from rgflow.sampling.rng import GROUP
from rgflow.tensors import TENSORS

if TYPE_CHECKING:
    from rgflow.sampling.estimators import Array, Means

Sure = npt.NDArray[np.bool_]

MOST_VARIANCE = 0.1
"""The largest squared relative error of the mean of a product of p kernels, (1 + R)^(p^2) / members, that can be known."""

_KERNEL, _NTK = ("mean_G",), ("mean_H", "mean_H11")
_ESTIMATORS = {name: one for table in ESTIMATORS.values() for name, one in table.items()}


def known_errors(groups: Means, names: Iterable[str]) -> dict[str, Sure]:
    """Of each tensor, whether its error can be known: (layer,).

    Parameters
    ----------
    groups
        Group means (group, layer, inputs).
    names
        Tensors.
    """
    return {name: _share(groups, name) <= MOST_VARIANCE for name in names}


def rare_network_warnings(known: Mapping[str, Sure], layers: Array) -> Iterator[str]:
    """The line that names the tensors, and their layers, whose errors cannot be known; none if there are none."""
    places = [f"{name} in layer {_ranges(layers[~sure])}" for name, sure in known.items() if not sure.all()]
    if places:
        yield (
            f"carried by networks too rare for this many members, so that errors are unknown: {'; '.join(places)}; "
            "take wider networks or more members"
        )


def _ranges(layers: Array) -> str:
    """Layers in short, as in ``3, 5-8``."""
    runs = np.split(layers, np.flatnonzero(np.diff(layers) > 1) + 1)
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _share(groups: Means, name: str) -> Array:
    """(1 + R)^(p^2) / members of each layer, at the input where it is largest."""
    count, layers = next(iter(groups.values())).shape[:2]
    sources = (*_KERNEL, *(_NTK if _ESTIMATORS[name].ntk else ()))
    spread = [_relative_variance(groups[mean]) for mean in sources if mean in groups]
    largest = np.max([np.zeros(layers), *spread], axis=0)
    return np.asarray(np.exp(_factors(name) ** 2 * np.log1p(largest) - np.log(GROUP * count)))


def _relative_variance(means: Array) -> Array:
    """R (layer,) of one network, from the scatter of its means over the members of a group."""
    diagonal = np.einsum("glaa->gla", means)
    center = diagonal.mean(axis=0)
    safe = np.where(center > 0.0, center, 1.0)
    return np.asarray((GROUP * diagonal.var(axis=0, ddof=1) / safe**2).max(axis=-1))


def _factors(name: str) -> float:
    """p: how many kernels, or NTKs, are multiplied."""
    tensor = TENSORS[name]
    return max(tensor.legs / 2, tensor.power + 1)
