"""What the figures of power laws in depth share: symbols, and picking the activations that have such laws."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import MARKERS, category_colors, new_figure, outer_legend
from rgflow.tensors import TENSORS

SYMBOLS = {
    "K": r"$K$",
    "K1": r"$K^{[1]}$",
    "K2": r"$K^{[2]}$",
    "V/K^2": r"$V/K^2$",
    "G1/K": f"${TENSORS['G1'].symbol}/K$",
    "Theta": r"$\Theta$",
    "D/(K Theta)": r"$D/(K\Theta)$",
    "F/(K Theta)": r"$F/(K\Theta)$",
    "A/Theta^2": r"$A/\Theta^2$",
    "B/Theta^2": r"$B/\Theta^2$",
}
"""Symbols of the quantities that follow power laws at criticality."""


def with_laws(phases: Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """The activations whose criticality holds power laws; those without a critical point do not."""
    return {label: phase for label, phase in phases.items() if "flow" in phase}


def class_name(phase: xr.Dataset) -> str:
    """Universality class for a legend."""
    return str(phase.attrs["universality_class"]).replace("K*=0", "$K^*=0$")


def no_laws() -> Figure:
    """What is drawn for a study in which no activation has power laws."""
    figure = new_figure(height=0.8)
    figure.text(0.5, 0.5, "No activation of this study has power laws at criticality.", ha="center", va="center")
    return figure


def legend_of_laws(figure: Figure, axes: Axes, laws: Mapping[str, xr.Dataset]) -> None:
    """Name the activations with their classes, and the dashed lines, above the figure; ``axes`` is any of its panels."""
    for (label, color), marker in zip(category_colors(laws).items(), cycle(MARKERS), strict=False):
        axes.plot([], [], marker, color=color, label=f"{label}: {class_name(laws[label])}")
    axes.plot([], [], "--", color="0.4", label="predicted law")
    outer_legend(figure, axes, columns=min(len(laws) + 1, 5))


def draw_laws(axes: Axes, laws: Mapping[str, xr.Dataset], quantity: str) -> None:
    """Draw one quantity of all activations, each at every n-th layer, so that equal flows of the n stay visible."""
    for i, ((label, color), marker) in enumerate(zip(category_colors(laws).items(), cycle(MARKERS), strict=False)):
        _draw_law(axes, laws[label], quantity, color, marker, slice(i, None, len(laws)))
    axes.set(xscale="log", yscale="log")


def _draw_law(axes: Axes, phase: xr.Dataset, quantity: str, color: str, marker: str, shown: slice) -> None:
    """Draw |flow| of one activation as points, filled where it is positive, and its predicted law dashed."""
    flow, predicted = (phase[name].sel(quantity=quantity) for name in ("flow", "flow_predicted"))
    axes.plot(phase["layer"], np.abs(np.where(flow == 0, np.nan, predicted)), "--", color=color, lw=0.9, zorder=1)
    points = flow.isel(layer=shown)
    for part, fill in ((points > 0, color), (points < 0, "white")):
        axes.plot(points["layer"][part], np.abs(points[part]), marker, color=color, mfc=fill, mew=0.7, zorder=2)
