"""The guard of public functions: an argument of the wrong kind is one clear line, where Python would fail somewhere within.

Kinds are read from the annotations, so that a signature says once what a function takes. Values are looked at, never changed, and
what comes one by one is kept; what they may be beyond their kind (positive, matching shapes, known names) is for the function
itself to say.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from rgflow.errors import RgflowError
from rgflow.kinds import PLAIN, Kinds, brief, check_kind, every, kept

P = ParamSpec("P")
R = TypeVar("R")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A public function whose arguments are held against its annotations first.

    Raises
    ------
    RgflowError
        From the function made: an argument is not of the kind that its annotation names.
    """
    signature = inspect.signature(function)
    kinds = {name: str(parameter.annotation) for name, parameter in signature.parameters.items()}

    @wraps(function)
    def guarded(*arguments: P.args, **options: P.kwargs) -> R:
        bound = signature.bind(*arguments, **options)
        for name, value in bound.arguments.items():
            bound.arguments[name] = kept(value)
            _check(name, bound.arguments[name], kinds[name])
        return function(*bound.args, **bound.kwargs)

    return guarded


def _check(name: str, value: Any, annotation: str) -> None:
    kinds = annotation.split(" | ")
    if _ARRAYS.isdisjoint(kinds):
        check_kind(name, value, annotation, _KINDS)
    else:
        _check_array(name, value, kinds)


def _check_array(name: str, value: Any, kinds: Iterable[str]) -> None:
    """Raise one line unless a value holds finite real numbers, or is None where that is allowed."""
    from rgflow.arrays import real_array

    if value is None and "None" in kinds:
        return
    if isinstance(value, str | bytes | Mapping) or value is None or callable(value):
        raise RgflowError(f"{name} = {brief(value)}; it must be an array of numbers")
    array = real_array(name, value)
    if len(bad := np.argwhere(~np.isfinite(array))):
        place = f"[{', '.join(map(str, bad[0]))}]" if array.ndim else ""
        raise RgflowError(f"{name}{place} = {array[tuple(bad[0])]}; it must be finite")


def _is_network(value: Any) -> bool:
    from rgflow.network import Network

    return isinstance(value, Network)


def _is_dataset(value: Any) -> bool:
    import xarray as xr

    return isinstance(value, xr.Dataset)


_ARRAYS = frozenset({"ArrayLike", "npt.ArrayLike", "Inputs", "xr.DataArray"})
_KINDS: Kinds = {
    **PLAIN,
    "Network": ("a Network", _is_network),
    "xr.Dataset": ("a dataset", _is_dataset),
    "Sequence[xr.Dataset]": ("a sequence of datasets", every(_is_dataset)),
}
