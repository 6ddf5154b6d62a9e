"""Activations of the user's own: a torch function of one tensor in a Python file, differentiated automatically."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rgflow.activations.arrays import Array, is_tensor
from rgflow.activations.registry import Activation
from rgflow.errors import RgflowError

_DEFAULT_RADIUS = 1.0  # of analyticity, where the function does not declare it: the error estimates check it


def load_activation(name: str, parameters: Mapping[str, float]) -> Activation:
    """The activation defined by ``name = "path/to/file.py:function"``.

    The function takes one torch tensor (and `parameters` as keywords) and returns a tensor of the same shape,
    elementwise. It may carry the attributes ``kinks`` (tuple of points, default none) and ``analytic_radius``
    (default 1).

    Raises
    ------
    RgflowError
        The file or function does not exist, or the function does not map a tensor to one of the same shape.
    """
    function = _load_function(name)
    radius = float(getattr(function, "analytic_radius", _DEFAULT_RADIUS))
    found = Activation(
        name,
        tuple(parameters.items()),
        tower=_AutomaticTower(function, dict(parameters)),
        kinks=tuple(float(kink) for kink in getattr(function, "kinks", ())),
        analytic_radius=radius,
        quadrature_radius=radius,
    )
    _check_elementwise(found)
    return found


def _load_function(name: str) -> Callable[..., Any]:
    path, _, attribute = name.rpartition(":")
    if not Path(path).is_file():
        raise RgflowError(f"activation {name!r}: no file {path!r}; expected path/to/file.py:function")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RgflowError(f"activation {name!r}: the file fails with {type(error).__name__}: {error}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise RgflowError(f"activation {name!r}: no function {attribute!r} in {path!r}")
    return function  # type: ignore[no-any-return]


def _check_elementwise(found: Activation) -> None:
    probe = np.array([[-1.3, -0.2], [0.4, 2.1]])
    try:
        whole, alone = found(probe), found(probe[1, 1])
    except Exception as error:
        reason = f"fails on a tensor with {type(error).__name__}: {error}"
        raise RgflowError(f"activation {found.label}: {reason}") from error
    if whole.shape != probe.shape or not np.allclose(whole[1, 1], alone) or not np.all(np.isfinite(whole)):
        raise RgflowError(f"activation {found.label}: must map a tensor elementwise to finite values of the same shape")


@dataclass(frozen=True)
class _AutomaticTower:
    """Derivatives by nested reverse-mode differentiation of the sum over elements."""

    function: Callable[..., Any]
    parameters: dict[str, float]

    def __call__(self, z: Array, order: int) -> list[Array]:
        import torch

        if not is_tensor(z):
            tensors = self(torch.as_tensor(z), order)
            return [part.detach().numpy() for part in tensors]
        tower: list[Callable[[Array], Array]] = [self._evaluate]
        for _ in range(order):
            tower.append(_elementwise_gradient(tower[-1]))
        return [part(z) for part in tower]

    def _evaluate(self, z: Array) -> Array:
        return self.function(z, **self.parameters)


def _elementwise_gradient(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    import torch

    return torch.func.grad(lambda z: function(z).sum())
