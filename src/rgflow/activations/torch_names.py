"""The functions and modules of torch (and functions of numpy and scipy) that are registered activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.activations.registered import registered

Function = Callable[..., Any]


class _Known(NamedTuple):
    """What a function of torch is here: name, parameters by torch's keyword, and settings it must have."""

    name: str
    parameters: Mapping[str, str] = {}
    required: Mapping[str, Any] = {}


_KNOWN = {
    "relu": _Known("relu"),
    "leaky_relu": _Known("leaky_relu", {"negative_slope": "slope"}),
    "tanh": _Known("tanh"),
    "sigmoid": _Known("sigmoid"),
    "silu": _Known("swish"),
    "gelu": _Known("gelu", required={"approximate": "none"}),
    "mish": _Known("mish"),
    "softplus": _Known("softplus", {"beta": "beta"}),
    "elu": _Known("elu", {"alpha": "alpha"}),
    "selu": _Known("selu"),
    "hardtanh": _Known("hard_tanh", required={"min_val": -1, "max_val": 1}),
    "identity": _Known("linear"),
    "sin": _Known("sin"),
    "cos": _Known("cos"),
    "erf": _Known("erf"),
}
# where torch keeps them
_FUNCTIONS = {
    "torch": ("relu", "tanh", "sigmoid", "sin", "cos", "erf", "selu"),
    "torch.special": ("erf",),
    "torch.nn.functional": tuple(name for name in _KNOWN if name not in ("identity", "sin", "cos", "erf")),
}
_OTHER_NAMES = {"expit": "sigmoid", "positive": "identity"}  # of torch.special and of the ufuncs of numpy and scipy
_MODULES = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
    "GELU": "gelu",
    "Mish": "mish",
    "Softplus": "softplus",
    "ELU": "elu",
    "SELU": "selu",
    "Hardtanh": "hardtanh",
    "Identity": "identity",
}


def registered_of(function: Function) -> Activation | None:
    """The registered activation that a function or module is, with its settings; None if it is none.

    Parameters
    ----------
    function
        Such as ``torch.tanh``, ``torch.nn.functional.silu``, ``torch.nn.LeakyReLU(0.2)``, ``np.tanh`` or a
        ``functools.partial`` of one.
    """
    if isinstance(function, partial):
        return None if function.args else _with_settings(_name_of(function.func), function.keywords)
    known = _KNOWN.get(_name_of(function) or "")
    settings = {} if known is None else {key: vars(function)[key] for key in _settings(known) if _has(function, key)}
    return _with_settings(_name_of(function), settings)


def torch_function(sigma: Activation) -> Function:
    """Torch's own kernel of an activation, whose gradient is several times faster than that of formulas; else sigma itself."""
    by_name = {name: function for function, name in _torch_functions().items()}
    for name, function in by_name.items():
        known = _KNOWN[name]
        if known.name == sigma.name:
            settings = {torchs: sigma.parameters[own] for torchs, own in known.parameters.items()}
            return partial(function, **settings) if settings else function
    return sigma


def _has(function: Function, key: str) -> bool:
    return key in getattr(function, "__dict__", {})


def _settings(known: _Known) -> list[str]:
    return [*known.parameters, *known.required]


def _with_settings(name: str | None, settings: Mapping[str, Any]) -> Activation | None:
    if name is None:
        return None
    known = _KNOWN[name]
    given = {key: value for key, value in settings.items() if key != "inplace"}
    if any(key not in _settings(known) or known.required.get(key, value) != value for key, value in given.items()):
        return None
    return registered(known.name, {here: float(given[key]) for key, here in known.parameters.items() if key in given})


def _name_of(function: Function) -> str | None:
    """Torch's name of a function, module, or ufunc that is known."""
    if isinstance(function, np.ufunc):
        name = _OTHER_NAMES.get(function.__name__, function.__name__)
        return name if name in _KNOWN else None
    if type(function) in _torch_modules():
        return _torch_modules()[type(function)]
    try:
        return _torch_functions().get(function)
    except TypeError:  # not hashable
        return None


@cache
def _torch_functions() -> dict[Function, str]:
    import torch  # who has one of its functions has it already

    homes = {"torch": torch, "torch.special": torch.special, "torch.nn.functional": torch.nn.functional}
    found = {getattr(homes[home], name): name for home, names in _FUNCTIONS.items() for name in names}
    return {**found, torch.special.expit: "sigmoid"}


@cache
def _torch_modules() -> dict[type, str]:
    import torch

    return {getattr(torch.nn, module): name for module, name in _MODULES.items()}
