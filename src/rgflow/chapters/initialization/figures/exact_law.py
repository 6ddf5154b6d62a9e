"""Tensors against depth where theory is exact at every width: no expansion in 1/n, no fit."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.component import along_layers, legs_of, tensor_symbol, tensors_of
from rgflow.figures.style import (
    FULL_WIDTH,
    layer_axis,
    mark_panel,
    new_figure,
    outer_legend,
    styled,
    width_colors,
    z_band,
)


@styled
def draw(exact: xr.Dataset) -> Figure:
    """Draw one column per tensor (component of input 0 alone): ensembles on the exact law of their width; z below.

    Parameters
    ----------
    exact : xr.Dataset
        Result of :func:`rgflow.comparison.compare.compare_exact`.
    """
    shown = tensors_of(exact)
    figure = new_figure(height=3.4, width=FULL_WIDTH * max(1.0, len(shown) / 4))
    panels = figure.subplots(2, len(shown), sharex=True, squeeze=False, height_ratios=(2.2, 1.0))
    for column, (name, letter) in enumerate(zip(shown, "abcdefgh", strict=False)):
        legs = (0,) * legs_of(name)
        _draw_column(panels[0, column], panels[1, column], along_layers(exact, name, legs))
        panels[0, column].set_title(tensor_symbol(name, legs))
        mark_panel(panels[0, column], letter)
    panels[0, 0].set_ylabel("value; line: exact law")
    panels[1, 0].set_ylabel("$z$")
    outer_legend(figure, panels[0, 0], columns=exact.sizes["width"])
    return figure


def _draw_column(values: Axes, scores: Axes, series: xr.Dataset) -> None:
    z_band(scores)
    for n, color in width_colors(series["width"].values).items():
        one = series.sel(width=n)
        values.plot(one["layer"], one["exact"], color=color)
        values.errorbar(one["layer"], one["experiment"], one["stderr"], fmt="o", color=color, label=f"$n={n}$")
        scores.plot(one["layer"], one["z_exact"], "o", color=color)
    if bool((series["exact"] > 0).all()) and float(series["exact"].max() / series["exact"].min()) > 20:
        values.set_yscale("log")
    largest = max(3.5, 1.1 * float(abs(series["z_exact"]).max()))
    scores.set_ylim(-largest, largest)
    layer_axis(scores)
