"""Picking single components out of a comparison for a figure."""

from __future__ import annotations

import numpy as np
import xarray as xr

from rgflow.comparison.quantities import tensor_quantity
from rgflow.errors import RgflowError
from rgflow.tensors import TENSORS

_ROUNDING = 1e-9


def tensors_of(comparison: xr.Dataset) -> list[str]:
    """Tensors at initialization that were compared, in the order of the panels; none that vanishes in theory."""
    return [name for name in TENSORS if name in comparison["quantity"].values and not _vanishes(comparison, name)]


def _vanishes(comparison: xr.Dataset, quantity: str) -> bool:
    """Whether theory is zero within rounding, as the three-point correlator of an odd activation."""
    components = of_quantity(comparison, quantity)
    if "theory" not in components:  # a comparison with exact laws
        return False
    return float(abs(components["theory"]).max()) < _ROUNDING * float(abs(components["experiment"]).max())


def of_quantity(comparison: xr.Dataset, quantity: str) -> xr.Dataset:
    """All components of one quantity."""
    return comparison.isel(component=comparison["component_quantity"].values == quantity)


def along_layers(comparison: xr.Dataset, quantity: str, legs: tuple[int, ...]) -> xr.Dataset:
    """One tensor component as a function of depth; ``legs`` are positions of its inputs, in any equivalent order.

    Raises
    ------
    RgflowError
        If the comparison does not hold this component.
    """
    components = of_quantity(comparison, quantity)
    chosen = np.ones(components.sizes["component"], dtype=bool)
    for leg, position in enumerate(tensor_quantity(quantity).canonical(legs), start=1):
        chosen &= components[f"sample_{leg}"].values == position
    if not chosen.any():
        raise RgflowError(f"the comparison holds no component {legs} of {quantity}")
    return components.isel(component=chosen).sortby("layer")


def legs_of(quantity: str) -> int:
    """Number of inputs a tensor at initialization depends on: K, Theta 2, T3 3, V, D, F, A, B and P to U 4, V6 here 1."""
    return TENSORS[quantity].legs


def tensor_symbol(quantity: str, legs: tuple[int, ...]) -> str:
    r"""Mathtext such as ``$V_{(00)(11)}$`` or ``$K_{01}$``."""
    index = "".join(map(str, legs))
    paired = {"V": f"({index[:2]})({index[2:]})", "T3": f"{index[:1]}({index[1:]})"}
    paired["A"] = paired["V"]
    return f"${TENSORS[quantity].symbol}_{{{paired.get(quantity, index)}}}$"
