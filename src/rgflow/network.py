"""The network ensemble: activation, widths and the initialization and learning-rate hyperparameters of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.activations.layers import LayerActivations, layer_activations
from rgflow.architectures.architecture import Architecture
from rgflow.architectures.residual import architecture_of
from rgflow.errors import RgflowError
from rgflow.kinds import brief, check_kind, kept

ActivationLike = str | Activation | Callable[..., Any]
"""What :func:`rgflow.activation` takes."""


@dataclass(frozen=True, init=False)
class Network:
    """A multilayer perceptron at initialization, z^(l+1) = b + W sigma(z^(l)), as an immutable, hashable value (PDLT, chapter 2).

    In each layer biases are drawn from N(0, C_b) and weights from N(0, C_W / n_{l-1}). The learning-rate tensor of the
    NTK is lambda_b for biases and lambda_W / n_{l-1} for weights. In a residual network the layers beyond the first are
    z^(l+1) = xi_1 (b + W sigma(z^(l))) + xi_2 z^(l).

    Parameters
    ----------
    activation
        Name of a registered activation, an ``Activation``, or an elementwise function or module of torch (see
        :func:`rgflow.activation`); or a list of these, one for each hidden layer 1..L-1.
    widths
        (n_0, ..., n_L): input dimension, hidden widths, output dimension.
    C_b, C_W, lambda_b, lambda_W
        One number for all layers, or one per layer 1..L. Stored as tuples of length L.
    xi_1, xi_2
        Strengths of the residual branch and of the skip connection; a network is plain with (1, 0), residual otherwise.

    Raises
    ------
    RgflowError
        Unknown activation or not one for each hidden layer, widths that are not at least two positive integers, a list whose
        length is not L,
        C_W <= 0, xi_1 <= 0, a negative C_b or learning rate, a value that is not finite, or a residual network whose
        widths n_1, ..., n_L differ.
    """

    activation: Activation
    widths: tuple[int, ...]
    C_b: tuple[float, ...]
    C_W: tuple[float, ...]
    lambda_b: tuple[float, ...]
    lambda_W: tuple[float, ...]
    xi_1: float
    xi_2: float

    def __init__(
        self,
        activation: ActivationLike | Sequence[ActivationLike],
        widths: Iterable[int],
        C_b: float | Iterable[float],
        C_W: float | Iterable[float],
        lambda_b: float | Iterable[float] = 0.0,
        lambda_W: float | Iterable[float] = 1.0,
        xi_1: float = 1.0,
        xi_2: float = 0.0,
    ) -> None:
        assign = object.__setattr__  # the way around a frozen dataclass's own guard
        assign(self, "widths", _valid_widths(widths))
        assign(self, "activation", layer_activations(activation, self.depth - 1))
        for name, value in {"C_b": C_b, "C_W": C_W, "lambda_b": lambda_b, "lambda_W": lambda_W}.items():
            assign(self, name, _per_layer(name, value, self.depth))
        for layer, weight_variance in enumerate(self.C_W, start=1):
            if weight_variance == 0.0:
                raise RgflowError(f"C_W at layer {layer} is 0; it must be positive")
        architecture = architecture_of(xi_1, xi_2)
        architecture.check_widths(self.widths)
        assign(self, "xi_1", architecture.scale)
        assign(self, "xi_2", architecture.skip)

    @property
    def depth(self) -> int:
        """Number L of layers with parameters; the output is layer L."""
        return len(self.widths) - 1

    def activation_of(self, layer: int) -> Activation:
        """sigma of a hidden layer 1..L-1, z^(layer+1) = b + W sigma(z^(layer)); `activation` is that of all of them."""
        if isinstance(self.activation, LayerActivations):
            return self.activation.layers[layer - 1]
        return self.activation

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations of the hidden layers 1..L-1."""
        if isinstance(self.activation, LayerActivations):
            return self.activation.layers
        return (self.activation,) * (self.depth - 1)

    def ratio(self, layer: int) -> float:
        """Width ratio rho_l = n_l / n_{l-1}, for layer 1..L."""
        return self.widths[layer] / self.widths[layer - 1]

    @cached_property
    def architecture(self) -> Architecture:
        """How a layer is made of its branch and the layer below: plain, or residual with xi_1 and xi_2."""
        return architecture_of(self.xi_1, self.xi_2)

    def hyperparameters(self, layer: int) -> tuple[float, float, float, float]:
        """(C_b, C_W, lambda_b, lambda_W) of a layer 1..L, those of the plain layer that its branch is."""
        values = (per_layer[layer - 1] for per_layer in (self.C_b, self.C_W, self.lambda_b, self.lambda_W))
        C_b, C_W, lambda_b, lambda_W = self.architecture.hyperparameters(layer, values)
        return C_b, C_W, lambda_b, lambda_W

    def require_plain(self, what: str) -> None:
        """Raise one line that ``what`` is not known of this architecture, unless it is plain."""
        self.architecture.choose({"plain": None}, what)

    def require_smooth(self, what: str) -> None:
        """Raise one line that ``what`` is not known of activations with kinks, unless this network's are smooth."""
        for sigma in self.activations:
            if sigma.kinks:
                raise RgflowError(f"activation = {sigma.label}; {what} needs one without kinks, such as gelu or tanh")


def _valid_widths(widths: Iterable[int]) -> tuple[int, ...]:
    given = kept(widths)
    check_kind("widths", given, "Iterable[int]")
    valid = tuple(map(int, given))
    if len(valid) < 2 or min(valid) < 1:
        raise RgflowError(f"widths = {brief(valid)}; at least (n_0, n_1) is needed, all positive")
    return valid


def _per_layer(name: str, value: float | Iterable[float], depth: int) -> tuple[float, ...]:
    given = kept(value)
    check_kind(name, given, "float | Iterable[float]")
    values = (float(given),) * depth if np.ndim(given) == 0 else tuple(map(float, given))
    if len(values) != depth:
        raise RgflowError(f"{name} has {len(values)} values for {depth} layers; give one number or one per layer")
    for layer, entry in enumerate(values, start=1):
        if entry < 0.0:
            raise RgflowError(f"{name} at layer {layer} is {entry}; it must not be negative")
    return values
