"""Hidden layers in whitened variables: z^(l) = F^(l) u^(l), forward and the reverse pass of a function of the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.activations.activation import Activation
from rgflow.network import Network
from rgflow.posterior.factors import Factor, smaller_factor
from rgflow.sampling.algebra import covariance_factor, mix, tolerance

Rows = list[Tensor]  # u of the hidden layers 1..L-1, (members, rows, n_l)


class Passed(NamedTuple):
    """A hidden layer after a forward pass: F (members, N, rows), sigma and sigma' (members, N, n)."""

    factor: Tensor
    sigma: Tensor
    slope: Tensor


@dataclass(frozen=True, eq=False)
class Layers:
    """The hidden layers on some samples.

    Attributes
    ----------
    first
        F of the first layer, (1, N, N): the same for all members.
    factors
        Those of the layers 2..L-1.
    activations
        Of the layers 1..L-1.
    widths
        n_1 .. n_{L-1}.
    """

    first: Tensor
    factors: tuple[Factor, ...]
    activations: tuple[Activation, ...]
    widths: tuple[int, ...]

    def shapes(self) -> list[tuple[int, int]]:
        """(rows, n_l) of u in each layer."""
        N = self.first.shape[1]
        rows = [N, *(factor.rows(N) for factor in self.factors)]
        return list(zip(rows, self.widths, strict=True))

    def last(self, u: Rows) -> Tensor:
        """sigma of the last hidden layer, (members, N, n_{L-1})."""
        sigma = self._activations(0, mix(self.first.expand(len(u[0]), -1, -1), u[0]))
        for layer, factor in enumerate(self.factors, start=1):
            sigma = self._activations(layer, mix(factor(sigma), u[layer]))
        return sigma

    def forward(self, u: Rows) -> list[Passed]:
        """All layers, with what the reverse pass needs."""
        F = self.first.expand(len(u[0]), -1, -1)
        passed = [Passed(F, *self._slopes(0, mix(F, u[0])))]
        for layer, factor in enumerate(self.factors, start=1):
            F = factor(passed[-1].sigma)
            passed.append(Passed(F, *self._slopes(layer, mix(F, u[layer]))))
        return passed

    def reverse(self, u: Rows, passed: list[Passed], cotangent: Tensor) -> Rows:
        """The gradient with respect to u of a function of the last layer, given its derivative with respect to sigma."""
        gradient: Rows = []
        for layer in range(len(u) - 1, -1, -1):
            z_bar = cotangent * passed[layer].slope
            u_bar = mix(passed[layer].factor.mT, z_bar)
            gradient.append(u_bar)
            if layer:
                factor, below = self.factors[layer - 1], passed[layer - 1].sigma
                cotangent = factor.pull_back(passed[layer].factor, below, u[layer], (z_bar, u_bar))
        return gradient[::-1]

    def _activations(self, layer: int, z: Tensor) -> Tensor:
        """sigma(z), which may overwrite z."""
        activation = self.activations[layer]
        sigma: Tensor = activation(z) if activation.in_place is None else activation.in_place.value(z)
        return sigma

    def _slopes(self, layer: int, z: Tensor) -> tuple[Tensor, Tensor]:
        """sigma(z), which may overwrite z, and sigma'(z)."""
        activation = self.activations[layer]
        if activation.in_place is None:
            return activation.value_and_derivative(z)
        sigma = activation.in_place.value(z)
        return sigma, activation.in_place.slope(sigma)


def hidden_layers(network: Network, inputs: Tensor, train_count: int, dtype: torch.dtype) -> Layers:
    """The hidden layers on the inputs (N, n_0), train samples first, whose number decides the kind of each factor."""
    C_b, C_W, *_ = network.hyperparameters(1)
    metric = C_b + C_W * (inputs @ inputs.mT)[None] / inputs.shape[1]
    factors = []
    for layer in range(2, network.depth):
        C_b, C_W, *_ = network.hyperparameters(layer)
        factors.append(smaller_factor(C_b, C_W, network.widths[layer - 1], train_count))
    first = covariance_factor(metric, tolerance(dtype))
    return Layers(first, tuple(factors), network.activations, network.widths[1:-1])
