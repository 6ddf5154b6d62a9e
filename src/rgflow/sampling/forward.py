"""The forward pass of the marginal sampler."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, generalized_inverse, inner, mix, normal_rows, tolerance
from rgflow.sampling.samples import Target


@dataclass(frozen=True, eq=False)
class Law:
    """The law of layer l given the layers below.

    Attributes
    ----------
    C_b, C_W
        Variances of a bias and of a weight (C_W/n_{l-1}).
    rate
        (members, N, N): lambda_b + lambda_W/n_{l-1} sigma . sigma, what the layer's own parameters give to its NTK.
    metric
        (members, N, N): C_b + C_W/n_{l-1} sigma . sigma, the covariance of its preactivations.
    factor, whitening
        L and L^- of the metric, (members, N, N).
    """

    C_b: float
    C_W: float
    rate: Tensor
    metric: Tensor
    factor: Tensor
    whitening: Tensor


@dataclass(frozen=True, eq=False)
class Hidden:
    """What the backward passes need of a hidden layer l, each (members, N, n_l).

    Attributes
    ----------
    noise
        u, the preactivations before the factor.
    slope
        sigma'(z).
    sigma
        sigma(z).
    """

    noise: Tensor
    slope: Tensor
    sigma: Tensor


@dataclass(frozen=True, eq=False)
class Forward:
    """A forward pass: the laws of layers 1, 2, ..., the leading neurons' noise (members, N, neurons) and, if the NTK is
    wanted, the hidden layers below the last one."""

    laws: list[Law]
    heads: list[Tensor]
    hidden: list[Hidden]

    def upto(self, layer: int) -> Forward:
        """The same pass ending at ``layer``."""
        return Forward(self.laws[:layer], self.heads[:layer], self.hidden[: layer - 1])


def forward(target: Target, members: int, generator: torch.Generator) -> Forward:
    """Draw the layers 1, 2, ... up to the last reported one."""
    passed = Forward([layer_law(target, 1, target.first_moment)], [], [])
    for index in range(1, target.layers[-1] + 1):
        law = passed.laws[-1]
        noise = normal_rows((members, law.metric.shape[-1], target.width(index)), target.dtype, generator)
        passed.heads.append(noise[..., : target.neurons])
        if index in target.hidden:
            sigma, slope = _activate(target, mix(law.factor.expand(members, -1, -1), noise))
            passed.laws.append(layer_law(target, index + 1, inner(sigma, sigma) / sigma.shape[-1]))
            if slope is not None:
                passed.hidden.append(Hidden(noise, slope, sigma))
    return passed


def layer_law(target: Target, index: int, moment: Tensor) -> Law:
    """The law of a layer, given the moment sigma . sigma / n of the one below (x . x / n_0 for the first)."""
    C_b, C_W, lambda_b, lambda_W = target.hyperparameters(index)
    metric = C_b + C_W * moment
    factor = covariance_factor(metric, tolerance(target.dtype))
    variance = C_W / target.network.widths[index - 1]
    return Law(C_b, variance, lambda_b + lambda_W * moment, metric, factor, generalized_inverse(factor))


def _activate(target: Target, z: Tensor) -> tuple[Tensor, Tensor | None]:
    activation = target.network.activation
    return activation.value_and_derivative(z) if target.ntk else (activation(z), None)
