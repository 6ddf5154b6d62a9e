"""Activations that may overwrite their argument, because their derivative is a function of their value.

A sampler that keeps sigma(z) for its backward pass then need keep neither z nor sigma'(z), and passes over memory less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

TorchTensor = Any  # torch.Tensor; torch is imported by those who have one


class InPlace(NamedTuple):
    """An activation that overwrites.

    Attributes
    ----------
    value
        z becomes sigma(z), which is returned.
    slope_of_value
        c_0 .. c_3 in sigma' = c_0 [sigma > 0] + c_1 + c_2 sigma + c_3 sigma^2; c_0 alone or the others.
    """

    value: Callable[[TorchTensor], TorchTensor]
    slope_of_value: tuple[float, float, float, float]

    def slope(self, sigma: TorchTensor) -> TorchTensor:
        """sigma'(z) given sigma(z)."""
        step, constant, linear, quadratic = self.slope_of_value
        if step:
            return (sigma > 0.0).to(sigma.dtype).mul_(step)
        return (sigma * quadratic).add_(linear).mul_(sigma).add_(constant)


RELU = InPlace(lambda z: z.clamp_(min=0.0), (1.0, 0.0, 0.0, 0.0))
TANH = InPlace(lambda z: z.tanh_(), (0.0, 1.0, 0.0, -1.0))
SIGMOID = InPlace(lambda z: z.sigmoid_(), (0.0, 0.0, 1.0, -1.0))
