"""Correlation of inputs, kernel and vertex by depth, of every initialization."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from rgflow.chapters.practice.figures.panels import COLORS, panels, recipe_legend
from rgflow.figures.style import layer_axis, styled

_ROWS = {"correlation": "correlation", "signal_K": "$K$", "kappa": "$V/(nK^2)$"}
_SAME = "groups"  # starts like "critical"


@styled
def draw(theories: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a row per quantity and a column per activation.

    Parameters
    ----------
    theories : mapping
        Activation and further labels of a cell to a result of :func:`rgflow.practice.recipes.recipes`.
    """
    figure, axes = panels(theories, rows=len(_ROWS))
    for row, (name, label) in zip(axes, _ROWS.items(), strict=True):
        row[0].set_ylabel(label)
        row[0].set(**({"ylim": (-0.05, 1.05)} if name == "correlation" else {"yscale": "log"}))
        for panel, theory in zip(row, theories.values(), strict=True):
            for recipe in theory["recipe"].values:
                if recipe != _SAME:
                    values = theory[name].sel(recipe=recipe)
                    panel.plot(theory["layer"], values.where(values != 0.0), color=COLORS[str(recipe)])
    for panel in axes[-1]:
        layer_axis(panel)
    recipe_legend(figure)
    return figure
