"""One set of elementwise function names for numpy arrays and torch tensors."""

from __future__ import annotations

import sys
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

Array = Any  # a float64 numpy array or a torch tensor: formulas are written once for both


def is_tensor(z: object) -> bool:
    """Whether z is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(z, torch.Tensor)


def namespace(z: Array) -> Any:
    """Elementwise functions (exp, tanh, erf, ndtr, where, ...) of the array library that z belongs to."""
    return _torch_namespace() if is_tensor(z) else _numpy_namespace()


@cache
def _numpy_namespace() -> Any:
    # scipy.special costs 0.1 s to import, so only the activations that need it load it
    def erf(z: Array) -> Array:
        from scipy.special import erf

        return erf(z)

    def ndtr(z: Array) -> Array:
        from scipy.special import ndtr

        return ndtr(z)

    def step(condition: Array, z: Array) -> Array:
        return condition.astype(np.float64)

    shared = ("exp", "expm1", "log1p", "tanh", "sin", "cos", "abs", "where", "clip", "zeros_like", "ones_like")
    return SimpleNamespace(erf=erf, ndtr=ndtr, step=step, **{name: getattr(np, name) for name in shared})


@cache
def _torch_namespace() -> Any:
    import torch

    def step(condition: Array, z: Array) -> Array:
        return condition.to(z.dtype)

    shared = ("exp", "expm1", "log1p", "tanh", "sin", "cos", "abs", "where", "clip", "zeros_like", "ones_like")
    special = {"erf": torch.special.erf, "ndtr": torch.special.ndtr}
    return SimpleNamespace(step=step, **special, **{name: getattr(torch, name) for name in shared})
