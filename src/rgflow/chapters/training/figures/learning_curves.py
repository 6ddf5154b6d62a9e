"""Learning curves: test loss, squared bias and variance after training against the number of train samples."""

from __future__ import annotations

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import (
    THEORY,
    mark_panel,
    new_figure,
    outer_legend,
    plain_log_axis,
    styled,
    width_colors,
)

_TITLES = {"loss": "test loss", "bias": r"bias$^2$", "variance": "variance"}


@styled
def draw(curve: xr.Dataset) -> Figure:
    """Draw theory at infinite width (black), with order 1/n (dashed), and ensembles, at the last recorded step.

    Parameters
    ----------
    curve : xr.Dataset
        ``test_<part>_infinite`` (train, step), ``test_<part>1`` where known, and ``test_<part>`` (train, width, step) with
        errors, for loss, bias and variance.
    """
    figure = new_figure(height=2.7)
    panels = figure.subplots(1, len(_TITLES))
    for axes, (part, title), letter in zip(panels, _TITLES.items(), "abc", strict=True):
        _draw_part(axes, curve.isel(step=-1), f"test_{part}")
        axes.set_title(title)
        axes.set_xlabel("train samples")
        mark_panel(axes, letter)
    panels[0].set_ylabel(r"$\frac{1}{2}\sum (z-y)^2$, test inputs")
    outer_legend(figure, panels[0], columns=curve.sizes["width"] + 2)
    return figure


def _draw_part(axes: Axes, curve: xr.Dataset, name: str) -> None:
    counts = curve["train"].values
    axes.plot(counts, curve[f"{name}_infinite"], color=THEORY, label=r"$n=\infty$")
    if f"{name}1" in curve:
        axes.plot([], [], "--", color="0.4", label="with order $1/n$")
    for n, color in width_colors(curve["width"].values).items():
        of_width = curve.sel(width=n)
        axes.errorbar(counts, of_width[name], of_width[f"{name}_stderr"], fmt="o", color=color, label=f"$n={n}$")
        if f"{name}1" in curve:
            axes.plot(counts, curve[f"{name}_infinite"] + curve[f"{name}1"] / n, "--", color=color, lw=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.xaxis.minorticks_off()
    if float(curve[f"{name}_infinite"].min()) > 0:
        plain_log_axis(axes)
