"""The guard of public functions: an argument of the wrong kind is one clear line, where Python would fail somewhere within.

Kinds are read from the annotations, so that a signature says once what a function takes. Values are looked at, never changed;
what they may be beyond their kind (positive, matching shapes, known names) is for the function itself to say.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from functools import wraps
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

import numpy as np

from rgflow.errors import RgflowError

P = ParamSpec("P")
R = TypeVar("R")

_LARGEST_INTEGER = 2**63
_LONGEST = 60  # characters of a value that is repeated in a message


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
        for name, value in signature.bind(*arguments, **options).arguments.items():
            check_kind(name, value, kinds[name])
        return function(*arguments, **options)

    return guarded


def check_kind(name: str, value: Any, annotation: str) -> None:
    """Raise one line unless a value is of one of the kinds that an annotation names; unknown kinds pass."""
    kinds = annotation.split(" | ")
    if not _ARRAYS.isdisjoint(kinds):
        _check_array(name, value, kinds)
        return
    known = [_KINDS[kind] for kind in kinds if kind in _KINDS]
    if len(known) < len(kinds) or any(fits(value) for _, fits in known):
        return
    raise RgflowError(f"{name} = {brief(value)}; it must be {' or '.join(dict.fromkeys(words for words, _ in known))}")


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise one line unless a value is one of some names."""
    if not isinstance(value, str) or value not in allowed:
        raise RgflowError(f"{name}: {brief(value)}; allowed: {', '.join(allowed)}")


def brief(value: Any) -> str:
    """A value on one line of bearable length; of an array or object its kind."""
    plain = value is None or isinstance(value, bool | int | float | complex | str | bytes | list | tuple | dict | set)
    text = " ".join(repr(value).split()) if plain else f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _is_integer(value: Any) -> bool:
    return _is_of(Integral, value) and abs(value) < _LARGEST_INTEGER


def _is_number(value: Any) -> bool:
    one = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    return _is_of(Real, one) and math.isfinite(one)


def _is_of(kind: type, value: Any) -> bool:
    """Whether a value is a number of a kind; truth values are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


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


def _all(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Set) and all(map(fits, value))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


_ARRAYS = frozenset({"ArrayLike", "npt.ArrayLike", "Inputs", "xr.DataArray"})
_INTEGERS, _NUMBERS, _TEXTS = (
    ("a sequence of integers", _all(_is_integer)),
    ("a sequence of finite numbers", _all(_is_number)),
    ("a sequence of names", _all(_is_text)),
)
_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "None": ("None", lambda value: value is None),
    "int": ("an integer", _is_integer),
    "float": ("a finite number", _is_number),
    "str": ("a name", _is_text),
    "Precision": ("a name", _is_text),
    "Order": ("a name", _is_text),
    "Path": ("a path", lambda value: hasattr(value, "__fspath__")),
    "Network": ("a Network", _is_network),
    "xr.Dataset": ("a dataset", _is_dataset),
    "Sequence[xr.Dataset]": ("a sequence of datasets", _all(_is_dataset)),
    "Sequence[int]": _INTEGERS,
    "Iterable[int]": _INTEGERS,
    "Sequence[float]": _NUMBERS,
    "Iterable[float]": _NUMBERS,
    "Sequence[str]": _TEXTS,
    "Iterable[str]": _TEXTS,
    "Mapping[int, Array]": ("a mapping from orders to arrays", lambda value: isinstance(value, Mapping)),
    "Mapping[int, xr.Dataset]": ("a mapping from numbers to datasets", lambda value: isinstance(value, Mapping)),
    "Layers": (
        "a name, an integer or a sequence of integers",
        lambda value: _is_text(value) or _is_integer(value) or _all(_is_integer)(value),
    ),
    "Observable": ("a function", callable),
    "ActivationLike": (
        "a name, a function, a torch module or an Activation",
        lambda value: isinstance(value, str) or callable(value),
    ),
    "Activation": ("an Activation or a function", callable),
    "Callable[..., Any]": ("a function", callable),
    "Callable[[int, int], None]": ("a function", callable),
    "Progress": ("a function", callable),
}
