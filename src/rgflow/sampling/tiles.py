"""Hidden layers of the marginal sampler, in tiles of members whose arrays stay in the cache from one pass to the next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rgflow.activations.in_place import InPlace
from rgflow.sampling.algebra import mix, normal_rows, products
from rgflow.sampling.samples import Target

_CACHED_NUMBERS = 2**18  # per array and tile


@dataclass(frozen=True, eq=False)
class Tile:
    """A hidden layer l of some members, arrays (tile, N, n_l).

    Attributes
    ----------
    noise
        u, the preactivations before the factor.
    sigma
        sigma(z).
    gram
        (tile, N, N): sigma . sigma.
    slope
        sigma'(z); None if it is not wanted or follows from sigma(z).
    in_place
        The activation, if sigma'(z) follows from sigma(z).
    """

    noise: Tensor
    sigma: Tensor
    gram: Tensor
    slope: Tensor | None
    in_place: InPlace | None

    def times_slope(self, v: Tensor) -> Tensor:
        """sigma'(z) v, in place of v (tile, outputs, N, n_l)."""
        if self.in_place is not None:
            pulled: Tensor = self.in_place.times_slope(v, self.sigma[:, None])
            return pulled
        assert self.slope is not None
        return v.mul_(self.slope[:, None])

    def slopes(self) -> Tensor:
        """sigma'(z)."""
        return self.times_slope(torch.ones_like(self.sigma)[:, None])[:, 0] if self.slope is None else self.slope


def tile_members(target: Target) -> int:
    """Members of a tile; a GPU takes all at once."""
    if target.x.device.type != "cpu":
        return 2**31
    return max(1, _CACHED_NUMBERS // (len(target.x) * max(target.network.widths[1:-1], default=1)))


def draw_tile(target: Target, index: int, factor: Tensor, generator: torch.Generator) -> Tile:
    """Draw hidden layer ``index`` of the members with the given factors (tile, N, N)."""
    noise = normal_rows((*factor.shape[:2], target.width(index)), target.dtype, generator)
    return activated(target, noise, mix(factor, noise), target.network.activation.in_place)


def activated(target: Target, noise: Tensor, z: Tensor, in_place: InPlace | None = None) -> Tile:
    """The tile of preactivations z, which ``in_place`` overwrites, if given."""
    if in_place is not None:
        sigma, slope = in_place.value(z), None
    elif target.ntk:
        sigma, slope = target.network.activation.value_and_derivative(z)
    else:
        sigma, slope = target.network.activation(z), None
    return Tile(noise, sigma, products(sigma, sigma), slope, in_place)
