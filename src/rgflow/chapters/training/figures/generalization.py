"""Expected test loss of trained networks against depth-to-width ratio, bias and variance apart, and where order 1/n ends."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rgflow.figures.style import THEORY, mark_panel, new_figure, styled, width_colors

_PARTS = {"loss": "-", "bias": "--", "variance": ":"}


@styled
def draw(generalization: xr.Dataset) -> Figure:
    """Draw (a) loss, bias and variance at the end of training against L/n by depth; (b) the ratio L/n at which order 1/n of
    the loss equals the leading order, against depth, beside the optimal aspect ratio.

    Parameters
    ----------
    generalization : xr.Dataset
        Of :func:`rgflow.generalization`, at criticality with ``optimal_aspect_ratio``.
    """
    figure = new_figure(height=2.8)
    losses, ratios = figure.subplots(1, 2)
    colors = width_colors(generalization["depth"].values)
    for depth, color in colors.items():
        _draw_losses(losses, generalization.sel(depth=depth), depth, color)
    losses.set(xlabel="depth-to-width ratio $L/n$", ylabel="test loss", xlim=(0, None))
    of_parts = [Line2D([], [], ls=style, color="0.4", label=part) for part, style in _PARTS.items()]
    of_depths = [Line2D([], [], color=color, label=f"$L={depth}$") for depth, color in colors.items()]
    losses.legend(handles=[*of_parts, *of_depths])
    _draw_ratios(ratios, generalization)
    mark_panel(losses, "a")
    mark_panel(ratios, "b")
    return figure


def _draw_losses(axes: Axes, at_depth: xr.Dataset, depth: int, color: str) -> None:
    inverse = np.concatenate([[0.0], 1 / at_depth["width"].values[::-1]])
    for part, style in _PARTS.items():
        line = float(at_depth[f"{part}_infinite"]) + float(at_depth[f"{part}_next"]) * inverse
        axes.plot(depth * inverse, line, style, color=color)
    axes.plot(depth / at_depth["width"], at_depth["loss"], "o", color=color)
    if "loss_error" in at_depth:
        axes.errorbar(depth / at_depth["width"], at_depth["loss"], at_depth["loss_error"], fmt="none", color=color)


def _draw_ratios(axes: Axes, generalization: xr.Dataset) -> None:
    depths = generalization["depth"].values
    axes.plot(
        depths, generalization["equal_order_ratio"], "o-", color=THEORY, label=r"$|\mathcal{L}_1|/n = \mathcal{L}$"
    )
    if "optimal_aspect_ratio" in generalization:
        best = float(generalization["optimal_aspect_ratio"])
        axes.axhline(best, color="#0072B2", ls="--", label=f"optimal aspect ratio {best:.2g}")
    used = [depth / width for depth in depths for width in generalization["width"].values]
    axes.plot(np.repeat(depths, generalization.sizes["width"]), used, "_", color="0.5", label="networks of the study")
    axes.set_xticks(depths)
    high = axes.get_ylim()[1]
    axes.set_xlim(depths.min() - 1, depths.max() + 1)
    axes.set(xlabel="depth $L$", ylabel="$L/n$", yscale="log")
    axes.set_ylim(0.7 * min(used), 8 * high)
    axes.legend(loc="upper left")
