"""Torch kernels that overwrite their argument, for activations whose derivative is a function of their value.

A sampler that keeps sigma(z) for its backward pass then need keep neither z nor sigma'(z), and passes over memory less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Tensor = Any  # torch.Tensor; torch is imported by those who have one


class InPlace(NamedTuple):
    """An activation that overwrites.

    Attributes
    ----------
    value
        z becomes sigma(z), which is returned.
    times_slope
        (v, sigma(z)): v becomes sigma'(z) v, which is returned; v may have more leading axes.
    """

    value: Callable[[Tensor], Tensor]
    times_slope: Callable[[Tensor, Tensor], Tensor]


def _relu_times_slope(v: Tensor, value: Tensor) -> Tensor:
    import torch

    return torch.ops.aten.threshold_backward.grad_input(v, value, 0.0, grad_input=v)


def _tanh_times_slope(v: Tensor, value: Tensor) -> Tensor:
    import torch

    return torch.ops.aten.tanh_backward.grad_input(v, value, grad_input=v)


def _sigmoid_times_slope(v: Tensor, value: Tensor) -> Tensor:
    import torch

    return torch.ops.aten.sigmoid_backward.grad_input(v, value, grad_input=v)


RELU = InPlace(lambda z: z.clamp_(min=0.0), _relu_times_slope)
TANH = InPlace(lambda z: z.tanh_(), _tanh_times_slope)
SIGMOID = InPlace(lambda z: z.sigmoid_(), _sigmoid_times_slope)
