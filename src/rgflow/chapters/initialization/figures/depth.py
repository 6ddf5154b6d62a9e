"""Kernel, vertex and NTK against depth: theory, ensembles of several widths, relative deviation and z."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.component import along_layers, legs_of, tensor_symbol, tensors_of
from rgflow.figures.style import (
    FULL_WIDTH,
    THEORY,
    layer_axis,
    mark_panel,
    new_figure,
    outer_legend,
    styled,
    width_colors,
    z_band,
)


@styled
def draw(theory: xr.Dataset, ensembles: xr.Dataset, comparison: xr.Dataset) -> Figure:
    """Draw one column per tensor (component of input 0 alone): value, relative deviation from leading order, z.

    Solid lines are the leading order; dashed lines add the next order in 1/n where theory gives it (K and Theta). The
    lowest row holds z of the extrapolation to infinite width.

    Parameters
    ----------
    theory, ensembles, comparison : xr.Dataset
        As given to and returned by :func:`rgflow.comparison.compare.compare`.
    """
    shown = tensors_of(comparison)
    figure = new_figure(height=4.6, width=FULL_WIDTH * max(1.0, len(shown) / 4))
    panels = figure.subplots(3, len(shown), sharex=True, squeeze=False, height_ratios=(2.2, 1.6, 1.0))
    for column, name in enumerate(shown):
        _draw_column(panels[:, column], name, theory, ensembles, comparison)
    _label_rows(panels)
    outer_legend(figure, panels[0, 0], columns=ensembles.sizes["width"] + 2)
    return figure


def _draw_column(
    panels: np.ndarray, name: str, theory: xr.Dataset, ensembles: xr.Dataset, comparison: xr.Dataset
) -> None:
    legs = (0,) * legs_of(name)
    series = along_layers(comparison, name, legs)
    _draw_values(panels[0], name, theory, ensembles)
    _draw_deviation(panels[1], series)
    _draw_z(panels[2], series)
    panels[0].set_title(tensor_symbol(name, legs))
    layer_axis(panels[2])


def _at_input_zero(array: xr.DataArray) -> xr.DataArray:
    return array.isel({dim: 0 for dim in array.dims if str(dim).startswith("sample_")})


def _draw_values(axes: Axes, name: str, theory: xr.Dataset, ensembles: xr.Dataset) -> None:
    leading = _at_input_zero(theory[name])
    axes.plot(leading["layer"], leading, color=THEORY, label="leading order", zorder=1)
    for (n, color), offset in _fanned(ensembles["width"].values):
        value = _at_input_zero(ensembles[name].sel(width=n))
        stderr = _at_input_zero(ensembles[f"{name}_stderr"].sel(width=n))
        axes.errorbar(value["layer"] + offset, value, stderr, fmt="o", color=color, label=f"$n={n}$")
    axes.plot([], [], "--", color="0.4", label="with next order")
    if leading.max() > 50 * abs(leading[leading != 0]).min() and leading.min() > 0:
        axes.set_yscale("log")
    else:
        axes.set_ylim(min(0.0, float(leading.min())), 1.07 * axes.dataLim.y1)


def _draw_deviation(axes: Axes, series: xr.Dataset) -> None:
    """Relative deviation from leading order in per cent, with the next order dashed where theory gives it."""
    axes.axhline(0, color=THEORY)
    unit = 100 / series["theory"]
    for (n, color), offset in _fanned(series["width"].values):
        deviation = (series["experiment"].sel(width=n) - series["theory"]) * unit
        stderr = series["stderr"].sel(width=n) * abs(unit)
        axes.errorbar(series["layer"] + offset, deviation, stderr, fmt="o", color=color)
        if series["next_order_known"].all():
            axes.plot(series["layer"], series["next_order"] / n * unit, "--", color=color, lw=0.9)


def _draw_z(axes: Axes, series: xr.Dataset) -> None:
    """z of the intercept at n = infinity; with a single width, of the experiment against the best order known."""
    z_band(axes)
    z = series["z_intercept"] if "z_intercept" in series else series["z_next"].isel(width=0)
    axes.plot(series["layer"], z, "D", color=THEORY, ms=2.5)
    axes.set_ylim(-max(3.5, 1.1 * float(abs(z).max())), max(3.5, 1.1 * float(abs(z).max())))


def _fanned(widths: np.ndarray) -> list[tuple[tuple[int, str], float]]:
    """Widths with their colours and small horizontal offsets that keep error bars apart."""
    colors = width_colors(widths)
    offsets = np.linspace(-0.12, 0.12, len(colors)) if len(colors) > 1 else np.zeros(1)
    return list(zip(colors.items(), offsets, strict=True))


def _label_rows(panels: np.ndarray) -> None:
    for axes, label in zip(
        panels[:, 0], ("value", "deviation from\nleading order [%]", r"$z$ at $n=\infty$"), strict=True
    ):
        axes.set_ylabel(label)
    for axes, letter in zip(panels[0], "abcdefg", strict=False):
        mark_panel(axes, letter)
