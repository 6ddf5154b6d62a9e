"""Activations between the matrix products of training, in as few passes over memory as torch has kernels for.

sigma(z) comes with a *trace*, all that its backward pass needs: sigma or z itself where a kernel multiplies by sigma' in one
pass, else sigma'. An activation that needs no more than sigma overwrites z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from rgflow.activations.activation import Activation


@dataclass(frozen=True)
class ActivationKernels:
    """sigma with its trace, ``forward(z) -> (sigma, trace)``, and ``pull_back(cotangent, trace)``, which multiplies the
    cotangent by sigma' in place."""

    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    pull_back: Callable[[Tensor, Tensor], Tensor]


@lru_cache(maxsize=64)
def activation_kernels(activation: Activation, overwrite: bool) -> ActivationKernels:
    """Return the kernels of an activation; those that overwrite z only where nothing else needs it, as a skip would."""
    fused = _FUSED.get(activation.label) if overwrite else None
    return fused or ActivationKernels(activation.value_and_derivative, lambda delta, slope: delta.mul_(slope))


def _from_value(value: Callable[[Tensor], Tensor], backward: Any, *constants: float) -> ActivationKernels:
    """Of an activation that overwrites z and whose sigma' is a function of sigma."""

    def forward(z: Tensor) -> tuple[Tensor, Tensor]:
        sigma = value(z)
        return sigma, sigma

    return ActivationKernels(forward, lambda delta, sigma: backward(delta, sigma, *constants, grad_input=delta))


def _from_argument(value: Callable[[Tensor], Tensor], backward: Any) -> ActivationKernels:
    """Of an activation whose backward kernel takes z."""
    return ActivationKernels(lambda z: (value(z), z), lambda delta, z: backward(delta, z, grad_input=delta))


_ATEN = torch.ops.aten
_FUSED = {
    "tanh": _from_value(torch.tanh_, _ATEN.tanh_backward.grad_input),
    "sigmoid": _from_value(torch.sigmoid_, _ATEN.sigmoid_backward.grad_input),
    "relu": _from_value(torch.relu_, _ATEN.threshold_backward.grad_input, 0.0),
    "gelu": _from_argument(torch.nn.functional.gelu, _ATEN.gelu_backward.grad_input),
    "swish(beta=1.0)": _from_argument(torch.nn.functional.silu, _ATEN.silu_backward.grad_input),
}
