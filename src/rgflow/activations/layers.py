"""Activations that differ from layer to layer, and the one line for whoever needs the same in all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.errors import RgflowError


class LayerActivations(Activation):
    """The activations of layers 1, 2, ... of a network where they differ, in the place of a single one.

    It has a label but is no function: values, derivatives, kinks and all else of it say so in one line.
    """

    def __init__(self, layers: Iterable[Activation]) -> None:
        chosen = tuple(layers)
        assign = object.__setattr__  # the way around a frozen dataclass's own guard
        assign(self, "name", ", ".join(sigma.label for sigma in chosen))
        assign(self, "items", ())
        assign(self, "function", chosen)

    @property
    def layers(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        chosen: Any = self.function
        return tuple(chosen)

    @property
    def draws_key(self) -> str:
        """The layers' own ones."""
        return ", ".join(sigma.draws_key for sigma in self.layers)

    def _refused(self) -> Any:
        raise RgflowError(f"the layers have different activations ({self.name}); what was asked for needs one for all")

    tower = fast = kinks = slopes = analytic_radius = quadrature_radius = in_place = property(_refused)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.layers,)


def layer_activations(value: Any, hidden: int) -> Activation:
    """One activation for all hidden layers, or `LayerActivations` if they differ.

    Parameters
    ----------
    value
        What :func:`rgflow.activation` takes, or a list of it with one for each hidden layer.
    hidden
        Number of hidden layers.

    Raises
    ------
    RgflowError
        A list of another length, or an activation that is not known.
    """
    if isinstance(value, LayerActivations):
        value = value.layers
    if not isinstance(value, list | tuple):
        return find_activation(value)
    layers = [find_activation(one) for one in value]
    if len(layers) != hidden or not layers:
        raise RgflowError(f"activation has {len(layers)} values for {hidden} hidden layers; give one, or one per layer")
    return layers[0] if len(set(layers)) == 1 else LayerActivations(layers)
