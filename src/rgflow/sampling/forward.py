"""The forward pass of the marginal sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from rgflow.architectures.architecture import Architecture
from rgflow.sampling import compiled
from rgflow.sampling.algebra import (
    array,
    covariance_factor,
    few_rows,
    generalized_inverse,
    inner,
    normal_rows,
    tolerance,
)
from rgflow.sampling.hidden import Hidden, draw_hidden
from rgflow.sampling.skip import SkipMoments, first_moments, next_moments
from rgflow.sampling.target import Target


@dataclass(frozen=True, eq=False)
class LayerLaw:
    """The law of layer l given the layers below.

    Attributes
    ----------
    C_b, C_W
        Variances of a bias and of a weight (C_W/n_{l-1}).
    rate
        (members, N, N): lambda_b + lambda_W/n_{l-1} sigma . sigma, what the layer's own parameters give to its NTK.
    metric
        (members, N, N): C_b + C_W/n_{l-1} sigma . sigma, the covariance of its preactivations (of its branch, with a skip).
    factor
        L of the metric, (members, N, N).
    """

    C_b: float
    C_W: float
    rate: Tensor
    metric: Tensor
    factor: Tensor

    @cached_property
    def whitening(self) -> Tensor:
        """L^-, (members, N, N)."""
        return generalized_inverse(self.factor)


@dataclass(frozen=True, eq=False)
class Forward:
    """A forward pass: the laws of layers 1, 2, ..., the leading neurons' noise (members, N, neurons) and, if the NTK is
    wanted, the hidden layers; where neurons are not alike the moments of the layers."""

    laws: list[LayerLaw]
    heads: list[Tensor]
    hidden: list[Hidden]
    architecture: Architecture
    skips: list[SkipMoments]

    def upto(self, layer: int) -> Forward:
        """The same pass ending at ``layer``."""
        return replace(self, laws=self.laws[:layer], heads=self.heads[:layer], hidden=self.hidden[: layer - 1])

    def preactivations(self) -> list[Tensor]:
        """z = L u of the leading neurons, with the skip connection: (members, N, neurons) of each layer."""
        branches = [law.factor @ head.double() for law, head in zip(self.laws, self.heads, strict=True)]
        return list(accumulate(branches, lambda below, branch: self.architecture.add_skip(branch, below)))


def forward(target: Target, members: int, generator: torch.Generator) -> Forward:
    """Draw the layers 1, 2, ... up to the last reported one."""
    architecture, z = target.network.architecture, None
    passed = Forward([first_law(target)], [], [], architecture, [] if architecture.alike else [first_moments(target)])
    for index in target.hidden:
        hidden, z = draw_hidden(target, index, passed.laws[-1].factor.expand(members, -1, -1), z, generator)
        passed.heads.append(hidden.noise[..., : target.neurons].contiguous())
        passed.laws.append(law_above(target, index + 1, hidden.sigma))
        passed.hidden.extend([hidden] if target.ntk else [])
        if architecture.alike:
            z = None
        else:
            passed.skips.append(next_moments(target, z))
    passed.heads.append(normal_rows((members, len(target.x), target.neurons), target.dtype, generator))
    return passed


def first_law(target: Target) -> LayerLaw:
    """The law of the first layer, of one member for all."""
    return _law_of_moment(target, 1, target.first_moment)


def law_above(target: Target, index: int, sigma: Tensor) -> LayerLaw:
    """The law of layer ``index`` given the activations (members, N, n) of the layer below."""
    n = sigma.shape[-1]
    if not few_rows(sigma):
        return _law_of_moment(target, index, inner(sigma, sigma) / n)
    C_b, C_W, lambda_b, lambda_W = target.network.hyperparameters(index)
    rate, metric, factor = (torch.empty(*sigma.shape[:2], sigma.shape[1], dtype=torch.float64) for _ in range(3))
    out = (rate.numpy(), metric.numpy(), factor.numpy())
    compiled.law(array(sigma), C_b, C_W / n, lambda_b, lambda_W / n, tolerance(target.dtype), out)
    return LayerLaw(C_b, C_W / n, rate, metric, factor)


def _law_of_moment(target: Target, index: int, moment: Tensor) -> LayerLaw:
    """The same, given sigma . sigma / n (members, N, N), or x . x / n_0."""
    C_b, C_W, lambda_b, lambda_W = target.network.hyperparameters(index)
    metric = C_b + C_W * moment
    factor = covariance_factor(metric, tolerance(target.dtype))
    variance = C_W / target.network.widths[index - 1]
    return LayerLaw(C_b, variance, lambda_b + lambda_W * moment, metric, factor)
