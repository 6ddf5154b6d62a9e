"""The activations known by name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping

from rgflow.activations.activation import Activation, Items
from rgflow.activations.formulas import BUILDERS
from rgflow.errors import RgflowError
from rgflow.kinds import brief

_LARGEST_PARAMETER = 1e30  # its fourth power has room among the numbers
# parameters that came later than the activation: the default leaves its label, and so the draws of its networks, as it was
_UNNAMED = {"softplus": (("beta", 1.0),)}
# what torch and others call them; case and underscores do not matter
_ALIASES = {"silu": "swish", "identity": "linear", "heaviside": "perceptron"}


def names() -> tuple[str, ...]:
    """Names of the registered activations, sorted."""
    return tuple(sorted(BUILDERS))


def registered(name: str, parameters: Mapping[str, float]) -> Activation:
    """The activation of a registered name, or torch's name for it; see :func:`rgflow.activation`."""
    found = name if name in BUILDERS else _known_names().get(_plain(name))
    if found is None:
        raise RgflowError(f"unknown activation {brief(name)}{_near_miss(name)}; known: {', '.join(names())}")
    complete = _complete_parameters(found, parameters)
    named = tuple(item for item in complete.items() if item not in _UNNAMED.get(found, ()))
    return Activation(found, named, origin=_again, **BUILDERS[found](**complete))


def _again(name: str, items: Items) -> Activation:
    return registered(name, dict(items))


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def _known_names() -> dict[str, str]:
    """Registered names by every way to write them."""
    return {**{_plain(name): name for name in BUILDERS}, **_ALIASES}


def _near_miss(name: str) -> str:
    close = difflib.get_close_matches(_plain(name), _known_names(), n=1)
    return f" (did you mean {_known_names()[close[0]]!r}?)" if close else ""


def _complete_parameters(name: str, parameters: Mapping[str, float]) -> dict[str, float]:
    defaults = {key: p.default for key, p in inspect.signature(BUILDERS[name]).parameters.items()}
    for key, value in parameters.items():
        if key not in defaults:
            raise RgflowError(f"{name}: unknown parameter {key!r}; allowed: {', '.join(defaults) or 'none'}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST_PARAMETER:
            raise RgflowError(f"{name}: {key} = {value!r}; allowed: a number, at most {_LARGEST_PARAMETER:g} in size")
    return {**defaults, **parameters}
