"""What the samplers are to draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
