"""Train and test loss against the gradient step: kernel prediction and trained ensembles."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import (
    THEORY,
    mark_panel,
    new_figure,
    outer_legend,
    plain_log_axis,
    step_axis,
    styled,
    width_colors,
)

_VISIBLE = 1e-2
"""Deviations are shown while the expected loss exceeds this fraction of the initial one; then all have converged."""


@styled
def draw(theory: xr.Dataset, trained: xr.Dataset) -> Figure:
    """Draw expected losses (black), ensemble means with the central 68 % of members, and the deviation of the means.

    Parameters
    ----------
    theory : xr.Dataset
        Result of :func:`rgflow.theory.learning.training.training_theory`.
    trained : xr.Dataset
        Trained ensembles with a dim ``width``.
    """
    figure = new_figure(height=3.9)
    panels = figure.subplots(2, 2, sharex=True, height_ratios=(1.7, 1.0))
    for column, role in enumerate(("train", "test")):
        upper, lower = panels[:, column]
        _draw_losses(upper, f"{role}_loss", theory, trained)
        _draw_deviation(lower, f"{role}_loss", theory, trained)
        upper.set_title(f"{role} loss")
        mark_panel(upper, "ab"[column])
        step_axis(lower, int(theory["step"].max()))
    panels[0, 0].set_ylabel(r"$\frac{1}{2}\sum (z-y)^2$")
    panels[1, 0].set_ylabel("deviation of\nthe mean [%]")
    outer_legend(figure, panels[0, 0], columns=trained.sizes["width"] + 1)
    return figure


def _draw_losses(axes: Axes, name: str, theory: xr.Dataset, trained: xr.Dataset) -> None:
    axes.plot(theory["step"], theory[name], color=THEORY, label=r"kernel prediction, $n=\infty$", zorder=3)
    for n, color in width_colors(trained["width"].values).items():
        of_width = trained.sel(width=n)
        low, high = np.quantile(of_width[f"member_{name}"].transpose("member", "step").values, (0.16, 0.84), axis=0)
        axes.fill_between(of_width["step"], low, high, color=color, alpha=0.22, lw=0)
        axes.errorbar(
            of_width["step"], of_width[name], of_width[f"{name}_stderr"], fmt="o", color=color, ms=2,
            label=f"$n={n}$",
        )  # fmt: skip
    decades = float(np.log10(theory[name].max() / theory[name].min()))
    if decades < 1.5:
        plain_log_axis(axes)
    else:
        axes.set_yscale("log")
    axes.set_ylim(bottom=float(max(1e-6 * theory[name].max(), 0.3 * theory[name].min())))


def _draw_deviation(axes: Axes, name: str, theory: xr.Dataset, trained: xr.Dataset) -> None:
    expected = theory[name].where(theory[name] > _VISIBLE * theory[name].max(), drop=True)
    axes.axhline(0, color=THEORY)
    for n, color in width_colors(trained["width"].values).items():
        of_width = trained.sel(width=n, step=expected["step"])
        deviation = 100 * (of_width[name] / expected - 1)
        stderr = 100 * of_width[f"{name}_stderr"] / expected
        axes.errorbar(expected["step"], deviation, stderr, fmt="o-", color=color, ms=2, lw=0.6)
