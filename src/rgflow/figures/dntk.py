"""Trend in 1/n of the differentials of the NTK: P, Q of the dNTK and R, S, T, U of the ddNTK."""

from __future__ import annotations

import xarray as xr
from matplotlib.figure import Figure

from rgflow.figures import extrapolation


def draw(comparison: xr.Dataset) -> Figure:
    """Draw experiment / theory against 1/n at the last layer, as :func:`rgflow.figures.extrapolation.draw`.

    Parameters
    ----------
    comparison : xr.Dataset
        Result of :func:`rgflow.comparison.compare.compare_dntk` with two or more widths.
    """
    return extrapolation.draw(comparison)
