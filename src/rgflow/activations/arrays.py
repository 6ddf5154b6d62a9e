"""One set of elementwise function names for numpy arrays and torch tensors."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import Any

Array = Any  # a float64 numpy array or a torch tensor: formulas are written once for both


def is_tensor(z: object) -> bool:
    """Whether z is a torch tensor; does not import torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(z, torch.Tensor)


def namespace(z: Array) -> Any:
    """Elementwise functions (exp, tanh, where, ...; special: erf, ndtr, expit) of the library that z belongs to."""
    return _Namespace("torch", "torch.special") if is_tensor(z) else _Namespace("numpy", "scipy.special")


@cache
class _Namespace:
    """The functions of `main`, else those of `special`, which is imported on first use (scipy.special takes 0.1 s)."""

    def __init__(self, main: str, special: str) -> None:
        self._modules = (main, special)

    def __getattr__(self, name: str) -> Any:
        main, special = self._modules
        found = getattr(importlib.import_module(main), name, None) or getattr(importlib.import_module(special), name)
        setattr(self, name, found)
        return found
