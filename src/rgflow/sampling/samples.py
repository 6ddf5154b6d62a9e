"""What both samplers take and give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from rgflow.network import Network
from rgflow.sampling.estimators import CROSS_MEAN, ESTIMATORS, Estimator
from rgflow.sampling.memory import FEW_INPUTS


@dataclass(frozen=True, eq=False)
class Target:
    """What to draw.

    Attributes
    ----------
    network
        The network.
    x
        (N, n_0) float64 inputs, on the device where the ensemble is drawn.
    layers
        Layers to report, increasing, within 1..L.
    tensors
        Names of the tensors to be estimated.
    dtype
        torch.float32 or torch.float64, of preactivations and cotangents.
    """

    network: Network
    x: Tensor
    layers: tuple[int, ...]
    tensors: frozenset[str]
    dtype: torch.dtype

    @cached_property
    def estimators(self) -> Mapping[str, Estimator]:
        """Those of the tensors, as the architecture needs them."""
        known = self.network.architecture.choose(ESTIMATORS, "sampling")
        return {name: estimator for name, estimator in known.items() if name in self.tensors}

    @property
    def pairs(self) -> bool:
        """Whether anything of two different neurons is wanted."""
        return any(estimator.neurons == 2 for estimator in self.estimators.values())

    @property
    def outputs(self) -> int:
        """Neurons of each reported layer whose NTK is drawn: the leading one or two."""
        if not self.network.architecture.alike:
            return self.neurons
        return 2 if self.pairs else 1

    @property
    def neurons(self) -> int:
        """Neurons of each reported layer whose preactivations are kept: the leading two, if all these layers have two."""
        return min(2, *(self.network.widths[layer] for layer in self.layers))

    @property
    def ntk(self) -> bool:
        """Whether anything of the NTK is wanted."""
        return any(estimator.ntk for estimator in self.estimators.values())

    @property
    def cross(self) -> bool:
        """Whether means of preactivations with the NTK of different neurons are wanted."""
        return any(CROSS_MEAN in estimator.means for estimator in self.estimators.values())

    @property
    def forward_means(self) -> bool:
        """Whether the marginal sampler averages the NTK over all backward passes (a closed form if neurons are alike)."""
        return self.ntk and len(self.x) <= FEW_INPUTS and self.network.architecture.alike

    @property
    def backward(self) -> bool:
        """Whether the marginal sampler draws backward passes."""
        drawn = any(estimator.ntk == "drawn" for estimator in self.estimators.values())
        return drawn or (self.ntk and not self.forward_means)

    @property
    def pairs_of_neurons(self) -> bool:
        """Whether averages over pairs of neurons are wanted that differ in their means."""
        return not self.network.architecture.alike and self.pairs

    @property
    def first_moment(self) -> Tensor:
        """Inner products x_1 . x_2 / n_0 of the inputs, (1, N, N)."""
        return (self.x @ self.x.T / self.x.shape[1])[None]

    @property
    def hidden(self) -> range:
        """Hidden layers below the last reported one."""
        return range(1, self.layers[-1])

    def width(self, layer: int) -> int:
        """Neurons of a layer that have to be drawn: all, if a later layer is reported."""
        return self.network.widths[layer] if layer in self.hidden else self.neurons


@dataclass(frozen=True, eq=False)
class Skip:
    """Moments where neurons are not alike, see :mod:`rgflow.sampling.skip`.

    Attributes
    ----------
    mean
        (member, layer, N): mean of z_a given the layer below, averaged over neurons.
    same_zG, same_GG
        (layer, N, N, N) and (layer, N, N, N, N), means over the members: what a neuron and itself would add to the
        averages over pairs of neurons; None unless wanted.
    """

    mean: Tensor
    same_zG: Tensor | None
    same_GG: Tensor | None


@dataclass(frozen=True, eq=False)
class Samples:
    """Draws of some members, float64, axes (member, layer, ...).

    Attributes
    ----------
    metric
        (member, layer, N, N): G_12 = C_b + C_W/n sum_j sigma_j1 sigma_j2, the second moment of a layer's preactivations
        given the layer before; averaged over neurons if they are not alike.
    preactivation
        (member, layer, neuron, N): z_{i;a}.
    ntk
        (member, layer, output, output, N, N): H_{ij;ab}; None unless drawn.
    ntk_mean
        (member, layer, N, N): H_{ii;ab}, averaged over neurons or more; None unless wanted.
    cross
        (layer, N, N, N, N), slots a c b d: mean over the members of z_ia z_jb H_ij;cd, i and j different neurons, or of
        its average over more; None unless wanted.
    skip
        Moments where neurons are not alike.
    """

    metric: Tensor
    preactivation: Tensor
    ntk: Tensor | None = None
    ntk_mean: Tensor | None = None
    cross: Tensor | None = None
    skip: Skip | None = None


def with_ntk(samples: Samples, ntk: Tensor, target: Target) -> Samples:
    """The same samples with a drawn NTK and what follows from it."""
    cross = None
    if target.cross:
        z = samples.preactivation
        cross = torch.einsum("mla,mlb,mlcd->lacbd", z[:, :, 0], z[:, :, 1], ntk[:, :, 0, 1]) / len(z)
    return replace(samples, ntk=ntk, ntk_mean=ntk.diagonal(dim1=2, dim2=3).mean(-1), cross=cross)


def start_ntk(rate: Tensor, outputs: int) -> Tensor:
    """Contribution delta_ij (lambda_b + lambda_W/n sum sigma sigma) of a layer's own parameters to its NTK.

    Parameters
    ----------
    rate
        (members, N, N): the bracket.

    Returns
    -------
    (members, output, N, output, N).
    """
    return rate[:, None, :, None, :] * torch.eye(outputs, dtype=rate.dtype, device=rate.device)[:, None, :, None]
