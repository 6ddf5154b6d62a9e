"""One way to every activation: known by name, in a file, or a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rgflow.activations.activation import Activation
from rgflow.activations.registered import registered
from rgflow.activations.user import is_file, load_activation, own_activation
from rgflow.errors import RgflowError


def activation(name: str | Activation | Callable[..., Any], **parameters: float) -> Activation:
    """The activation of a name, or made of a function (PDLT, chapter 2).

    Parameters
    ----------
    name
        A registered name (see `names`), or torch's for it, such as ``silu`` or ``LeakyReLU``; ``"path/to/file.py:function"``
        for a function of one tensor in a file; an elementwise function or ``torch.nn.Module``, see
        :func:`rgflow.activations.user.own_activation`; or an `Activation`, which is returned unchanged.
    **parameters
        Parameters of the activation, such as ``slope`` of ``leaky_relu``; defaults fill what is missing.

    Raises
    ------
    RgflowError
        Unknown name or parameter, a parameter value that is not allowed, or a function that is not elementwise or not
        differentiable.
    """
    if isinstance(name, Activation):
        if parameters:
            raise RgflowError(f"{name.label}: parameters are fixed already; give the name as a string to change them")
        return name
    if not isinstance(name, str):
        return own_activation(name, parameters)
    if is_file(name):
        return load_activation(name, parameters)
    return registered(name, parameters)
