"""What the figures of practice share: a column of panels per activation, a colour per recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rgflow.figures.style import CATEGORIES, THEORY, new_figure
from rgflow.practice.recipes import RECIPES

COLORS = dict(zip(RECIPES, ("#999999", *CATEGORIES[3:], CATEGORIES[0], THEORY), strict=True))
LABELS = {
    "torch": "torch default",
    "gain": "gain",
    "xavier": "Xavier",
    "anyinit": "AnyInit's rule",
    "critical": "critical",
    "groups": "critical + groups",
}
_ROW = 1.35  # inches


def panels(
    cells: Mapping[str, xr.Dataset], rows: int, sharey: Literal["row", "all"] = "row"
) -> tuple[Figure, np.ndarray]:
    """A figure with a titled column per cell, (row, column), and a legend of the recipes."""
    figure = new_figure(height=_ROW * rows + 0.5)
    axes = figure.subplots(rows, len(cells), squeeze=False, sharex="row", sharey=sharey)
    for column, label in zip(axes.T, cells, strict=True):
        column[0].set_title(label.partition(",")[0])
    return figure, axes


def recipe_legend(figure: Figure, **properties: object) -> None:
    """The names of the recipes above everything."""
    handles = [Line2D([], [], color=COLORS[recipe], label=LABELS[recipe], **properties) for recipe in RECIPES]  # type: ignore[arg-type]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def zero_line(axes: Axes, cell: xr.Dataset) -> None:
    """The test loss of the prediction 0."""
    axes.axhline(float(cell["contest_zero_loss"]), color=THEORY, lw=0.6, ls=":")
