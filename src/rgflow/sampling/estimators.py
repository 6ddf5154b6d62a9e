"""From samples to tensors: for each tensor the means it is made of, and its unbiased estimator.

Statistics of an ensemble are the means, over the members of each group, of products of what was drawn (:data:`MEANS`). They
are small, and ensembles merge by joining their groups. Where it is exact, a product is already averaged over what the layers
below leave open: preactivations enter by their covariance G given the layer below. Where neurons have means of their own, as
with a skip connection, G is their second moment, averaged over neurons; what a neuron and itself add to products is taken
off again.

torch is imported by those who have samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from rgflow.sampling.samples import Samples

Array = npt.NDArray[np.float64]
Means = Mapping[str, Array]

CROSS_MEAN = "mean_zzH"  # the one that a layer's preactivations and NTK make together


@dataclass(frozen=True)
class Fans:
    """What estimators need besides means: n_{l-1} of each layer, and the number of members in each mean.

    A covariance of means is biased by 1 - 1/members; ``unbiased`` are the widths divided by that.
    """

    n: Array
    members: int

    def widths(self, legs: int) -> Array:
        """n_{l-1}, for arrays (..., layer, inputs) with some legs."""
        return self.n.reshape(-1, *(1,) * legs)

    def unbiased(self, legs: int) -> Array:
        """n_{l-1} members / (members - 1)."""
        return self.widths(legs) * self.members / (self.members - 1)


@dataclass(frozen=True)
class Estimator:
    """How a tensor is estimated.

    Attributes
    ----------
    means
        Names of the means it is made of.
    rule
        (fans, *means) -> estimate (..., layer, inputs), in the slot order of theory.
    ntk
        "mean" if the NTK's mean given the forward pass suffices, "drawn" if the NTK has to be drawn, "" without an NTK.
    neurons
        Neurons that a layer must have.
    independent
        Whether it uses that the weights of different neurons are independent.
    """

    means: tuple[str, ...]
    rule: Callable[..., Array]
    ntk: Literal["", "mean", "drawn"] = ""
    neurons: int = 1
    independent: bool = True


def _kernel(_: Fans, G: Array) -> Array:
    return G


def _vertex(fans: Fans, G: Array, GG: Array) -> Array:
    return fans.unbiased(4) * (GG - _product(G, G))


def _six_point(fans: Fans, G: Array, GG: Array, GGG: Array) -> Array:
    """E[G_aa^3]_c of the metric, the coefficient of the 15 pairings of six equal inputs."""
    g, gg = np.einsum("...aa->...a", G), np.einsum("...aaaa->...a", GG)
    cumulant = (GGG - 3 * gg * g + 2 * g**3) * fans.members / (fans.members - 2)
    return np.asarray(fans.widths(1) * fans.unbiased(1) * cumulant)


def _D(fans: Fans, G: Array, H: Array, GH: Array) -> Array:
    return fans.unbiased(4) * (GH - _product(G, H))


def _exchanged_mean(fans: Fans, products: Array) -> Array:
    return fans.widths(4) * _exchanged(products)


def _A(fans: Fans, H1: Array, H2: Array, HH: Array) -> Array:
    return fans.unbiased(4) * _exchanged(HH - _product(H1, H2))


def _three_point(fans: Fans, z: Array, G: Array, zG: Array, same: Array) -> Array:
    return fans.unbiased(3) * (zG - z[..., None, None] * G[..., None, :, :]) - fans.widths(3) * same


def _vertex_of_pairs(fans: Fans, G: Array, GG: Array, same: Array) -> Array:
    return _vertex(fans, G, GG) - fans.widths(4) * same


_K = Estimator(("mean_G",), _kernel, independent=False)
_Theta = Estimator(("mean_H",), _kernel, ntk="mean", independent=False)
ESTIMATORS: Mapping[str, Mapping[str, Estimator]] = {
    "plain": {
        "K": _K,
        "V": Estimator(("mean_G", "mean_GG"), _vertex),
        "V6": Estimator(("mean_G", "mean_GG", "mean_GGG"), _six_point),
        "Theta": _Theta,
        "D": Estimator(("mean_G", "mean_H", "mean_GH"), _D, ntk="mean"),
        "F": Estimator((CROSS_MEAN,), _exchanged_mean, ntk="mean", neurons=2),
        "A": Estimator(("mean_H11", "mean_H22", "mean_H11H22"), _A, ntk="drawn", neurons=2),
        "B": Estimator(("mean_H12H12",), _exchanged_mean, ntk="drawn", neurons=2),
    },
    "residual": {
        "K": _K,
        "T3": Estimator(("mean_z", "mean_G", "mean_zG", "mean_zG_same"), _three_point, neurons=2),
        "V": Estimator(("mean_G", "mean_GG", "mean_GG_same"), _vertex_of_pairs, neurons=2),
        "Theta": _Theta,
    },
}
"""By architecture and tensor: what is not here is not known of samples of that architecture."""

# means over members, axes (layer, inputs); slots of mean_zzH and mean_H12H12 as in F and B
MEANS: Mapping[str, Callable[[Samples], Tensor]] = {
    "mean_G": lambda s: s.metric.mean(0),
    "mean_GG": lambda s: _outer(s.metric, s.metric),
    "mean_GGG": lambda s: (s.metric.diagonal(dim1=2, dim2=3) ** 3).mean(0),
    "mean_H": lambda s: _drawn(s.ntk_mean).mean(0),
    "mean_GH": lambda s: _outer(s.metric, _drawn(s.ntk_mean)),
    CROSS_MEAN: lambda s: _drawn(s.cross),
    "mean_H11": lambda s: _drawn(s.ntk)[:, :, 0, 0].mean(0),
    "mean_H22": lambda s: _drawn(s.ntk)[:, :, 1, 1].mean(0),
    "mean_H11H22": lambda s: _outer(_drawn(s.ntk)[:, :, 0, 0], _drawn(s.ntk)[:, :, 1, 1]),
    "mean_H12H12": lambda s: _outer(_drawn(s.ntk)[:, :, 0, 1], _drawn(s.ntk)[:, :, 0, 1]).transpose(2, 3),
    "mean_z": lambda s: _drawn(s.skip).mean.mean(0),
    "mean_zG": lambda s: _outer_three(_drawn(s.skip).mean, s.metric),
    "mean_zG_same": lambda s: _drawn(_drawn(s.skip).same_zG),
    "mean_GG_same": lambda s: _drawn(_drawn(s.skip).same_GG),
}


def sample_means(samples: Samples, estimators: Iterable[Estimator]) -> dict[str, Array]:
    """Means over the members of some samples that the estimators are made of, each (layer, inputs)."""
    names = dict.fromkeys(name for estimator in estimators for name in estimator.means)
    return {name: MEANS[name](samples).cpu().numpy() for name in names}


def estimates(means: Means, widths_below: npt.ArrayLike, members: int) -> dict[str, Array]:
    """Unbiased estimates of the tensors from the means over ``members`` members.

    Parameters
    ----------
    means
        Arrays (..., layer, inputs); leading axes are carried along.
    widths_below
        n_{l-1} of each layer, the factor stripped off the connected correlators.
    members
        Number of members in each mean (three or more for V6).

    Returns
    -------
    Every tensor that the means suffice for: arrays (..., layer, inputs) in the slot order of the theory.
    """
    fans = Fans(np.asarray(widths_below, dtype=np.float64), members)
    # later entries ask for more means, where these were taken, and replace earlier ones
    tables = [entry for table in ESTIMATORS.values() for entry in table.items()]
    possible = {name: one for name, one in tables if all(mean in means for mean in one.means)}
    return {name: one.rule(fans, *(means[mean] for mean in one.means)) for name, one in possible.items()}


def _drawn(part: Any) -> Any:
    assert part is not None  # the target of the samples asked for it
    return part


def _outer(left: Tensor, right: Tensor) -> Tensor:
    import torch

    return torch.einsum("mlab,mlcd->labcd", left, right) / len(left)


def _outer_three(left: Tensor, right: Tensor) -> Tensor:
    import torch

    return torch.einsum("mla,mlbc->labc", left, right) / len(right)


def _product(left: Array, right: Array) -> Array:
    return np.asarray(left[..., :, :, None, None] * right[..., None, None, :, :])


def _exchanged(tensor: Array) -> Array:
    """Average over exchange of the slots (12) with (34), which the two neurons' exchange makes a symmetry."""
    return (tensor + np.moveaxis(tensor, (-4, -3), (-2, -1))) / 2
