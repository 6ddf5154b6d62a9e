"""What the figures of a posterior share: which widths and samples they show."""

from __future__ import annotations

import numpy as np
import xarray as xr

_MOST_WIDTHS = 4


def shown_widths(posterior: xr.Dataset) -> list[int]:
    """Widths to show, spread from the narrowest to the widest."""
    widths = sorted(posterior["width"].values.tolist())
    places = np.unique(np.linspace(0, len(widths) - 1, min(_MOST_WIDTHS, len(widths))).round().astype(int))
    return [widths[place] for place in places]


def inputs_of(theory: xr.Dataset, inputs: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """The inputs that were conditioned on, and those that were predicted: the first of their role."""
    chosen = []
    for role in ("train", "test"):
        count = int(np.sum(theory["role"].values == role))
        chosen.append(inputs.isel(sample=np.flatnonzero(inputs["role"].values == role)[:count]))
    return chosen[0], chosen[1]


def positions_of(theory: xr.Dataset, role: str) -> np.ndarray:
    """Where the samples of a role are."""
    return np.flatnonzero(theory["role"].values == role)


def at_width(theory: xr.Dataset, name: str, n: float) -> xr.DataArray:
    """A quantity to order 1/n."""
    return theory[name] + theory[f"{name}1"] / n
