"""Kinds of values: what an annotation allows, and one clear line where a value is of another kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from numbers import Integral, Real
from typing import Any

from rgflow.errors import RgflowError

Kinds = Mapping[str, tuple[str, Callable[[Any], bool]]]
"""An annotation -> its words in messages, and whether a value is of it."""

_LARGEST_INTEGER = 2**63
_LONGEST = 60  # characters of a value that is repeated in a message, unless told


def check_kind(name: str, value: Any, annotation: str, known: Kinds | None = None) -> None:
    """Raise one line unless a value is of one of the kinds that an annotation names; unknown kinds pass.

    Values are looked at, never changed: what comes one by one must be `kept` first.
    """
    kinds, known = annotation.split(" | "), PLAIN if known is None else known
    tried = [known[kind] for kind in kinds if kind in known]
    if len(tried) < len(kinds) or any(fits(value) for _, fits in tried):
        return
    raise RgflowError(f"{name} = {brief(value)}; it must be {' or '.join(dict.fromkeys(words for words, _ in tried))}")


def check_choice(name: str, value: Any, allowed: Collection[str]) -> None:
    """Raise one line unless a value is one of some names."""
    if not isinstance(value, str) or value not in allowed:
        raise RgflowError(f"{name}: {brief(value)}; allowed: {', '.join(allowed)}")


def kept(value: Any) -> Any:
    """A value that can be looked at more than once: all of what comes one by one."""
    return tuple(value) if isinstance(value, Iterator) else value


def brief(value: Any) -> str:
    """A value on one line of bearable length; of an array or object its kind."""
    plain = value is None or isinstance(value, bool | int | float | complex | str | bytes | list | tuple | dict | set)
    return one_line(repr(value) if plain else f"<{type(value).__name__}>")


def one_line(text: str, longest: int = _LONGEST) -> str:
    """A text for a message, on one line of bearable length."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _is_integer(value: Any) -> bool:
    return _is_of(Integral, value) and abs(value) < _LARGEST_INTEGER


def _is_number(value: Any) -> bool:
    one = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
    return _is_of(Real, one) and math.isfinite(one)


def _is_of(kind: type, value: Any) -> bool:
    """Whether a value is a number of a kind; truth values are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


def every(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a value is a sequence, in an order of its own, of values that fit."""
    return lambda value: (
        isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Set) and all(map(fits, value))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


_INTEGERS, _NUMBERS, _TEXTS = (
    ("a sequence of integers", every(_is_integer)),
    ("a sequence of finite numbers", every(_is_number)),
    ("a sequence of names", every(_is_text)),
)
PLAIN: Kinds = {
    "None": ("None", lambda value: value is None),
    "int": ("an integer", _is_integer),
    "float": ("a finite number", _is_number),
    "str": ("a name", _is_text),
    "Precision": ("a name", _is_text),
    "Order": ("a name", _is_text),
    "Path": ("a path", lambda value: hasattr(value, "__fspath__")),
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
        lambda value: _is_text(value) or _is_integer(value) or every(_is_integer)(value),
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
