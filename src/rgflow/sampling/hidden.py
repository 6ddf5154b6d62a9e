"""Hidden layers of the marginal sampler."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rgflow.activations.in_place import InPlace
from rgflow.sampling import compiled
from rgflow.sampling.algebra import array, mix, normal_rows
from rgflow.sampling.target import Target


@dataclass(frozen=True, eq=False)
class Hidden:
    """A hidden layer l, arrays (members, N, n_l).

    Attributes
    ----------
    noise
        u, the preactivations before the factor.
    sigma
        sigma(z).
    slope
        sigma'(z); None if it is not wanted or follows from sigma(z).
    in_place
        The activation, if sigma'(z) follows from sigma(z).
    """

    noise: Tensor
    sigma: Tensor
    slope: Tensor | None
    in_place: InPlace | None

    def slopes(self) -> Tensor:
        """sigma'(z)."""
        if self.in_place is not None:
            following: Tensor = self.in_place.slope(self.sigma)
            return following
        assert self.slope is not None
        return self.slope

    def arrays(self) -> compiled.HiddenArrays:
        """The layer as compiled loops take it."""
        of_value = (0.0,) * 4 if self.in_place is None else self.in_place.slope_of_value
        slope = self.sigma.new_empty(0, 0, 0) if self.slope is None else self.slope
        return array(self.noise), array(self.sigma), array(slope), of_value


def draw_hidden(
    target: Target, index: int, factor: Tensor, below: Tensor | None, generator: torch.Generator
) -> tuple[Hidden, Tensor]:
    """Draw hidden layer ``index`` of the members with the given factors (members, N, N).

    Parameters
    ----------
    below
        Preactivations of the layer below, if a skip connection passes them on.

    Returns
    -------
    The layer and its preactivations z, which an in-place activation has overwritten if neurons are alike.
    """
    activation, architecture = target.network.activation_of(index), target.network.architecture
    noise = normal_rows((*factor.shape[:2], target.width(index)), target.dtype, generator)
    z = mix(factor, noise, add_to=None if below is None else architecture.skip * below)
    in_place = activation.in_place if architecture.alike else None
    if in_place is not None:
        sigma, slope = in_place.value(z), None
    elif target.ntk:
        sigma, slope = activation.value_and_derivative(z)
    else:
        sigma, slope = activation(z), None
    return Hidden(noise, sigma, slope, in_place), z
