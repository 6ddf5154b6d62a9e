"""Order and chaos: correlation of the preactivations of two inputs against depth."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import (
    THEORY,
    layer_axis,
    mark_panel,
    new_figure,
    outer_legend,
    styled,
    width_colors,
)

_PAIRS = ((0, 0), (1, 1), (0, 1))
_DECADE = 10.0  # ratio of largest to smallest value from which on the axis is logarithmic


@styled
def draw(theory: xr.Dataset, ensembles: xr.Dataset) -> Figure:
    """Draw (a) c = K_01 / sqrt(K_00 K_11) against depth, (b) the approach of two inputs, 1 - c.

    Lines are theory at infinite width, dashed ones with the next order in 1/n. Nearby inputs come together in the ordered phase
    and part in the chaotic one, exponentially; at criticality they follow power laws.

    Parameters
    ----------
    theory : xr.Dataset
        ``K``, ``G1``, ``V`` of :func:`rgflow.theory.initialization.tensors.initialization_theory`, for two or more inputs.
    ensembles : xr.Dataset
        ``K``, ``K_stderr`` (width, layer, sample_1, sample_2).
    """
    figure = new_figure(height=2.8)
    values, approach = figure.subplots(1, 2)
    limit, c = correlation(theory["K"]), correlation(ensembles["K"])
    stderr = correlation_stderr(c, ensembles, theory)
    values.plot(limit["layer"], limit, color=THEORY, label=r"$n=\infty$")
    approach.plot(limit["layer"], 1 - limit, color=THEORY)
    for n, color in width_colors(ensembles["width"].values).items():
        expected = correlation(theory["K"] + theory["G1"] / n)
        one = {"yerr": stderr.sel(width=n), "fmt": "o", "color": color}
        values.errorbar(c["layer"], c.sel(width=n), label=f"$n={n}$", **one)
        values.plot(expected["layer"], expected, "--", color=color, lw=0.8)
        approach.errorbar(c["layer"], 1 - c.sel(width=n), **one)
        approach.plot(expected["layer"], 1 - expected, "--", color=color, lw=0.8)
    _label(values, approach)
    outer_legend(figure, values, columns=ensembles.sizes["width"] + 1)
    return figure


def correlation(K: xr.DataArray) -> xr.DataArray:
    """Correlation K_01 / sqrt(K_00 K_11) of the first two inputs (layer,)."""
    K_00, K_11, K_01 = _entries(K)
    return K_01 / np.sqrt(K_00 * K_11)


def _entries(K: xr.DataArray) -> list[xr.DataArray]:
    return [K.isel(sample_1=a, sample_2=b, drop=True) for a, b in _PAIRS]


def correlation_stderr(c: xr.DataArray, ensemble: xr.Dataset, theory: xr.Dataset) -> xr.DataArray:
    """Error of c by linear propagation; the estimates K_ab share networks, so that their covariance is proportional to V."""
    gradient = [factor / entry for factor, entry in zip((-0.5, -0.5, 1.0), _entries(ensemble["K"]), strict=True)]
    variance = sum(
        left * right * _vertex(theory, first, second)
        for left, first in zip(gradient, _PAIRS, strict=True)
        for right, second in zip(gradient, _PAIRS, strict=True)
    )
    unit = _entries(ensemble["K_stderr"])[0] ** 2 / _vertex(theory, (0, 0), (0, 0))  # 1/(n members)
    return abs(c) * np.sqrt(np.maximum(variance * unit.fillna(0.0), 0.0))


def _vertex(theory: xr.Dataset, first: tuple[int, int], second: tuple[int, int]) -> xr.DataArray:
    legs = {f"sample_{leg}": position for leg, position in enumerate((*first, *second), start=1)}
    return theory["V"].isel(legs, drop=True)


def _label(values: Axes, approach: Axes) -> None:
    for axes, letter in zip((values, approach), "ab", strict=True):
        layer_axis(axes)
        mark_panel(axes, letter)
    values.set_ylabel(r"$c = K_{01}/\sqrt{K_{00}K_{11}}$")
    approach.set_ylabel("$1-c$")
    if np.divide(*approach.dataLim.intervaly[::-1]) > _DECADE:
        approach.set_yscale("log")
