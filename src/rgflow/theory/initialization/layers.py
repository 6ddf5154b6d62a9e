"""Tensors of all layers from those of the first, checked and labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.tensors import TENSORS, leg_names
from rgflow.theory.initialization.contraction import Array

Tensors = Mapping[str, Array]
Advance = Callable[[int, Tensors], tuple[Tensors, float]]


@dataclass(frozen=True)
class Recursion:
    """How one tensor goes from layer l to l+1: its function, the tensors it reads, in order, and its number of legs."""

    advance: Callable[..., Array]
    reads: tuple[str, ...]
    legs: int


class LayerTensors(NamedTuple):
    """The tensors of one layer and the quadrature error they were computed with."""

    number: int
    tensors: Tensors
    error: float


def recursions(**functions: Callable[..., Array]) -> Mapping[str, Recursion]:
    """Recursions of tensors by name.

    Parameters
    ----------
    functions
        (step, ...) -> the tensor of the next layer, with a parameter for every tensor of this layer that it reads, named
        after it.
    """
    reads = {name: tuple(signature(function).parameters)[1:] for name, function in functions.items()}
    return {name: Recursion(functions[name], reads[name], TENSORS[name].legs) for name in functions}


def evolve(depth: int, first: Tensors, advance: Advance) -> xr.Dataset:
    """Iterate a recursion over the layers 1..depth.

    Parameters
    ----------
    depth
        Number L of layers.
    first
        Tensors of layer 1 by name, each (N, ..., N).
    advance
        Gives the tensors of layer l+1 and the quadrature error they were computed with, from l and the tensors of l.

    Returns
    -------
    Labelled dataset of the tensors with ``quadrature_error`` (layer).

    Raises
    ------
    RgflowError
        A tensor is not finite, or `advance` fails; names the layer.
    """
    return stacked(list(walk(depth, first, advance)))


def walk(depth: int, first: Tensors, advance: Advance) -> Iterator[LayerTensors]:
    """The layers of `evolve` one by one, so that a caller may keep those it wants."""
    _require_finite(first, 1)
    tensors, error = first, 0.0
    yield LayerTensors(1, tensors, error)
    for layer in range(1, depth):
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is reported with its layer and name below
            tensors, error = _advanced(advance, layer, tensors)
        _require_finite(tensors, layer + 1)
        yield LayerTensors(layer + 1, tensors, error)


def stacked(layers: Sequence[LayerTensors]) -> xr.Dataset:
    """Labelled dataset of the tensors of some layers with ``quadrature_error`` (layer)."""
    tensors = {name: np.stack([layer.tensors[name] for layer in layers]) for name in layers[0].tensors}
    errors = ("layer", np.array([layer.error for layer in layers]))
    return labelled(tensors).assign(quadrature_error=errors).assign_coords(layer=[layer.number for layer in layers])


def _advanced(advance: Advance, layer: int, tensors: Tensors) -> tuple[Tensors, float]:
    try:
        return advance(layer, tensors)
    except RgflowError as error:
        raise RgflowError(f"layer {layer + 1}: {error}") from None


def labelled(tensors: Tensors) -> xr.Dataset:
    """Dataset of tensors (layer, sample, ...) with dimensions ``layer`` from 1 and ``sample_1`` .. from 0."""
    variables: dict[str, tuple[list[str], Array]] = {}
    coords: dict[str, npt.NDArray[np.int_]] = {}
    for name, values in tensors.items():
        legs = list(leg_names(values.ndim - 1))
        variables[name] = (["layer", *legs], values)
        coords |= {"layer": np.arange(1, len(values) + 1)} | {leg: np.arange(values.shape[1]) for leg in legs}
    return xr.Dataset(variables, coords)


def _require_finite(tensors: Tensors, layer: int) -> None:
    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise RgflowError(
                f"{name} is not finite at layer {layer}: the network is far from criticality; "
                "choose critical C_b and C_W or fewer layers"
            )
