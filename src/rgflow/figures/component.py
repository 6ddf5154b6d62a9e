"""Picking single components out of a comparison for a figure."""

from __future__ import annotations

import numpy as np
import xarray as xr

from rgflow.comparison.quantities import INITIALIZATION, SYMBOLS
from rgflow.errors import RgflowError

TENSORS = tuple(quantity.name for quantity in INITIALIZATION)
"""Order of the panels of a figure of tensors at initialization."""


def tensors_of(comparison: xr.Dataset) -> list[str]:
    """Tensors at initialization that were compared, in the order of the panels."""
    return [name for name in TENSORS if name in comparison["quantity"].values]


def of_quantity(comparison: xr.Dataset, quantity: str) -> xr.Dataset:
    """All components of one quantity."""
    return comparison.isel(component=comparison["component_quantity"].values == quantity)


def along_layers(comparison: xr.Dataset, quantity: str, legs: tuple[int, ...]) -> xr.Dataset:
    """One tensor component as a function of depth; ``legs`` are positions of its inputs.

    Raises
    ------
    RgflowError
        If the comparison does not hold this component.
    """
    components = of_quantity(comparison, quantity)
    chosen = np.ones(components.sizes["component"], dtype=bool)
    for leg, position in enumerate(legs, start=1):
        chosen &= components[f"sample_{leg}"].values == position
    if not chosen.any():
        raise RgflowError(f"the comparison holds no component {legs} of {quantity}")
    return components.isel(component=chosen).sortby("layer")


def legs_of(quantity: str) -> int:
    """Number of inputs a tensor at initialization depends on: 2 for K, Theta, 4 for V, D, F, A, B, 1 for V6 here."""
    (dims,) = (known.dims for known in INITIALIZATION if known.name == quantity)
    return len(dims) - 1


def tensor_symbol(quantity: str, legs: tuple[int, ...]) -> str:
    r"""Mathtext such as ``$V_{(00)(11)}$`` or ``$K_{01}$``."""
    index = "".join(map(str, legs))
    paired = f"({index[:2]})({index[2:]})" if quantity in ("V", "A") else index
    return f"${SYMBOLS[quantity]}_{{{paired}}}$"
