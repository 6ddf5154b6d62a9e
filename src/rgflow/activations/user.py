"""Activations of the user's own: an elementwise function that torch can differentiate, given itself or in a Python file."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rgflow.activations.activation import MAX_ORDER, Activation, Items
from rgflow.activations.arrays import Array, is_tensor
from rgflow.activations.detect import find_kinks, find_radius, find_slopes
from rgflow.activations.torch_names import Function, registered_of
from rgflow.errors import RgflowError
from rgflow.kinds import brief

_PROBE = np.array([[-1.3, -0.2], [0.4, 2.1]])
_DIFFERENCE = 1e-6
_ADVICE = "write it with torch's functions, such as torch.tanh"


def own_activation(function: Function, parameters: Mapping[str, float]) -> Activation:
    """The activation that a function is.

    Functions and modules of torch that are registered activations, such as ``torch.nn.functional.silu`` or
    ``torch.nn.LeakyReLU(0.2)``, and those of numpy, such as ``np.tanh``, become these, with their closed forms. Any other is
    differentiated by torch. Where it declares no attributes ``kinks`` (points where a derivative jumps) and
    ``analytic_radius`` (distance of the nearest singularity from the real axis), both are found numerically: kinks within
    +-1000 of derivatives up to the third. :func:`rgflow.check_activation` shows what was found.

    Parameters
    ----------
    function
        Takes one tensor, and `parameters` as keywords, and returns one of the same shape, elementwise, by operations of
        torch; or a ``torch.nn.Module``, or a class of one.
    parameters
        Its keywords.

    Raises
    ------
    RgflowError
        Not a function, not elementwise, random, trained parameters, or not differentiable by torch.
    """
    if isinstance(function, type):
        function = _instance(function)
    if not callable(function):
        raise RgflowError(f"activation = {brief(function)}; it must be a name, a function or a torch module")
    return (None if parameters else registered_of(function)) or _differentiated(_label(function), function, parameters)


def is_file(name: str) -> bool:
    """Whether a name is that of a function in a file."""
    return ".py:" in name


def load_activation(name: str, parameters: Mapping[str, float]) -> Activation:
    """The activation defined by ``name = "path/to/file.py:function"``, a function as :func:`own_activation` takes.

    Raises
    ------
    RgflowError
        The file or function does not exist, or the function is none that `own_activation` takes.
    """
    return _differentiated(name, _load_function(name), parameters)


def _again(name: str, items: Items) -> Activation:
    return load_activation(name, dict(items))


def _differentiated(name: str, function: Function, parameters: Mapping[str, float]) -> Activation:
    found = Activation(
        name,
        tuple(parameters.items()),
        tower=_AutomaticTower(_in_torch(function), dict(parameters)),
        function=None if is_file(name) else function,
        origin=_again if is_file(name) else None,
    )
    _check(found, function)
    return _with_shape(found, function)


def _with_shape(found: Activation, function: Function) -> Activation:
    """The same with kinks and radius, as declared or found."""
    declared = getattr(function, "kinks", None)
    kinks = find_kinks(found.tower) if declared is None else tuple(float(kink) for kink in declared)
    slopes = find_slopes(found.tower, kinks)
    radius = float(getattr(function, "analytic_radius", 0.0)) or (
        math.inf if slopes else find_radius(found.tower, kinks)
    )
    return Activation(
        found.name,
        found.items,
        tower=found.tower,
        kinks=kinks,
        slopes=slopes,
        analytic_radius=radius,
        quadrature_radius=radius,
        function=found.function,
        origin=found.origin,
    )


def _instance(kind: type) -> Function:
    try:
        made: Function = kind()
    except TypeError as error:
        raise RgflowError(f"activation {kind.__name__}: give an instance, as it takes arguments ({error})") from None
    return made


def _label(function: Function) -> str:
    """A name that does not depend on the session."""
    if isinstance(function, partial):
        keywords = ", ".join(f"{key}={value!r}" for key, value in function.keywords.items())
        return f"{_label(function.func)}({keywords})"
    own = getattr(function, "__name__", None)
    if own is None:
        is_module = hasattr(function, "named_parameters")  # whose text shows its settings
        own = " ".join(repr(function).split()) if is_module else type(function).__name__
    return str(own)


def _in_torch(function: Function) -> Function:
    """A ufunc's namesake in torch, if there is one; any other function itself."""
    if isinstance(function, np.ufunc):
        import torch

        name = function.__name__
        namesake: Any = getattr(torch, name, None) or getattr(torch.special, name, function)
        return namesake  # type: ignore[no-any-return]
    return function


def _load_function(name: str) -> Function:
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


def _check(found: Activation, function: Function) -> None:
    if any(True for _ in getattr(function, "parameters", tuple)()):
        raise RgflowError(f"activation {found.label}: has trained parameters; give a function with fixed numbers")
    whole = _evaluated(found, 0, f"fails on a tensor; {_ADVICE}")
    if (
        whole.shape != _PROBE.shape
        or not np.allclose(whole[1, 1], found(_PROBE[1, 1]))
        or not np.all(np.isfinite(whole))
    ):
        raise RgflowError(f"activation {found.label}: must map a tensor elementwise to finite values of the same shape")
    if not np.array_equal(whole, found(_PROBE)):
        raise RgflowError(f"activation {found.label}: gives other values when called again; it must not be random")
    slope = _evaluated(found, 1, f"is not differentiable by torch; {_ADVICE}")
    _evaluated(
        found, MAX_ORDER, f"torch does not know its derivatives up to order {MAX_ORDER}; write it with basic functions"
    )
    difference = (found(_PROBE + _DIFFERENCE) - found(_PROBE - _DIFFERENCE)) / (2 * _DIFFERENCE)
    if not np.allclose(slope, difference, rtol=1e-6, atol=1e-6):
        raise RgflowError(
            f"activation {found.label}: torch's derivative at {_PROBE.flat[int(np.argmax(np.abs(slope - difference)))]} is "
            "not that of its values; write it with torch's functions throughout, without detach"
        )


def _evaluated(found: Activation, order: int, failure: str) -> Array:
    probe = _PROBE.copy()
    try:
        value = found.derivative(probe, order)
    except Exception as error:
        reason = f"{failure} ({type(error).__name__}: {' '.join(str(error).split())})"
        raise RgflowError(f"activation {found.label}: {reason}") from error
    if not np.array_equal(probe, _PROBE):
        raise RgflowError(f"activation {found.label}: changes its argument in place; it must return a new tensor")
    return value


@dataclass(frozen=True)
class _AutomaticTower:
    """Derivatives by nested reverse-mode differentiation of the sum over elements."""

    function: Function
    parameters: dict[str, float]

    def __call__(self, z: Array, order: int) -> list[Array]:
        import torch

        if not is_tensor(z):
            tensors = self(torch.as_tensor(z), order)
            return [part.numpy(force=True) for part in tensors]
        tower: list[Callable[[Array], Array]] = [self._evaluate]
        for _ in range(order):
            tower.append(_elementwise_gradient(tower[-1]))
        return [torch.zeros_like(z) if part._is_zerotensor() else part for part in (part(z) for part in tower)]

    def _evaluate(self, z: Array) -> Array:
        return self.function(z, **self.parameters)


def _elementwise_gradient(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    import torch

    return torch.func.grad(lambda z: function(z).sum())
