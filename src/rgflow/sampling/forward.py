"""The forward pass of the marginal sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, generalized_inverse, inner, mix, normal_rows, tolerance
from rgflow.sampling.samples import Target
from rgflow.sampling.skip import SkipMoments, first_moments, next_moments


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
        (members, N, N): C_b + C_W/n_{l-1} sigma . sigma, the covariance of its preactivations (of its branch, with a skip).
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
    wanted, the hidden layers below the last one; of a residual network xi_2 and the moments of the layers."""

    laws: list[Law]
    heads: list[Tensor]
    hidden: list[Hidden]
    xi_2: float
    skips: list[SkipMoments]

    def upto(self, layer: int) -> Forward:
        """The same pass ending at ``layer``."""
        return replace(self, laws=self.laws[:layer], heads=self.heads[:layer], hidden=self.hidden[: layer - 1])

    def preactivations(self) -> list[Tensor]:
        """z = L u of the leading neurons, plus xi_2 times that of the layer below: (members, N, neurons) of each layer."""
        branches = [law.factor @ head.double() for law, head in zip(self.laws, self.heads, strict=True)]
        if not self.xi_2:
            return branches
        return list(accumulate(branches, lambda below, branch: branch + self.xi_2 * below))


def forward(target: Target, members: int, generator: torch.Generator) -> Forward:
    """Draw the layers 1, 2, ... up to the last reported one."""
    network, z = target.network, None
    passed = Forward([layer_law(target, 1, target.first_moment)], [], [], network.xi_2, [first_moments(target)])
    for index in range(1, target.layers[-1] + 1):
        law = passed.laws[-1]
        noise = normal_rows((members, law.metric.shape[-1], target.width(index)), target.dtype, generator)
        passed.heads.append(noise[..., : target.neurons])
        if index in target.hidden:
            skipped = network.xi_2 * z if network.xi_2 and z is not None else None
            z = mix(law.factor.expand(members, -1, -1), noise, add_to=skipped)
            sigma, slope = _activate(target, z)
            passed.laws.append(layer_law(target, index + 1, inner(sigma, sigma) / sigma.shape[-1]))
            if slope is not None:
                passed.hidden.append(Hidden(noise, slope, sigma))
            if network.residual:
                passed.skips.append(next_moments(target, z))
    return passed


def layer_law(target: Target, index: int, moment: Tensor) -> Law:
    """The law of a layer, given the moment sigma . sigma / n of the one below (x . x / n_0 for the first)."""
    C_b, C_W, lambda_b, lambda_W = target.network.hyperparameters(index)
    metric = C_b + C_W * moment
    factor = covariance_factor(metric, tolerance(target.dtype))
    variance = C_W / target.network.widths[index - 1]
    return Law(C_b, variance, lambda_b + lambda_W * moment, metric, factor, generalized_inverse(factor))


def _activate(target: Target, z: Tensor) -> tuple[Tensor, Tensor | None]:
    activation = target.network.activation
    return activation.value_and_derivative(z) if target.ntk else (activation(z), None)
