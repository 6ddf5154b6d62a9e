"""The forward pass of the marginal sampler."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, generalized_inverse, mix, normal_rows, tolerance
from rgflow.sampling.samples import Target
from rgflow.sampling.skip import SkipMoments, first_moments, next_moments
from rgflow.sampling.tiles import Tile, activated, draw_tile, tile_members


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
    wanted, the tiles of the hidden layers below the last one; of a residual network xi_2 and the moments of the layers."""

    laws: list[Law]
    heads: list[Tensor]
    hidden: list[list[Tile]]
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
    for index in target.hidden:
        factor = passed.laws[-1].factor.to(target.dtype).expand(members, -1, -1)
        if network.residual:
            tile, z = _residual_layer(target, index, factor, z, generator)
            tiles = [tile]
            passed.skips.append(next_moments(target, z))
        else:
            tiles = [draw_tile(target, index, part, generator) for part in torch.split(factor, tile_members(target))]
        passed.heads.append(torch.cat([tile.noise[..., : target.neurons] for tile in tiles]))
        gram = torch.cat([tile.gram for tile in tiles]).double()
        passed.laws.append(layer_law(target, index + 1, gram / target.width(index)))
        passed.hidden.extend([tiles] if target.ntk else [])
    passed.heads.append(normal_rows((members, len(target.x), target.neurons), target.dtype, generator))
    return passed


def _residual_layer(
    target: Target, index: int, factor: Tensor, below: Tensor | None, generator: torch.Generator
) -> tuple[Tile, Tensor]:
    """A hidden layer above preactivations ``below``, in one tile, because averages over the members follow; and its own."""
    noise = normal_rows((*factor.shape[:2], target.width(index)), target.dtype, generator)
    z = mix(factor, noise, add_to=None if below is None else target.network.xi_2 * below)
    return activated(target, noise, z), z


def layer_law(target: Target, index: int, moment: Tensor) -> Law:
    """The law of a layer, given the moment sigma . sigma / n of the one below (x . x / n_0 for the first)."""
    C_b, C_W, lambda_b, lambda_W = target.network.hyperparameters(index)
    metric = C_b + C_W * moment
    factor = covariance_factor(metric, tolerance(target.dtype))
    variance = C_W / target.network.widths[index - 1]
    return Law(C_b, variance, lambda_b + lambda_W * moment, metric, factor)
