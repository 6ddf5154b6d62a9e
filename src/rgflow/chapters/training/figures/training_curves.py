"""Train and test loss against the gradient step: ensembles, kernel prediction, and what order 1/n explains of the rest."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.chapters.training.figures.deviation import deviation, has_next_order, next_order_of
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
    """Draw losses, below them the deviation of the means from infinite width, and what is left of it beyond order 1/n.

    Where theory predicts no losses the ensembles stand alone; without order 1/n nothing is explained and the last row is not
    there.

    Parameters
    ----------
    theory : xr.Dataset
        Result of :func:`rgflow.theory.learning.training.training_theory`.
    trained : xr.Dataset
        Trained ensembles with a dim ``width``.
    """
    rows = 1 + ("train_loss" in theory) + has_next_order(theory)
    figure = new_figure(height=1.3 + 1.3 * rows)
    heights = (1.7, 1.0, 1.0)[:rows]
    panels = figure.subplots(rows, 2, sharex=True, squeeze=False, height_ratios=heights)
    for column, role in enumerate(("train", "test")):
        _draw_column(panels[:, column], f"{role}_loss", theory, trained)
        panels[0, column].set_title(f"{role} loss")
        mark_panel(panels[0, column], "ab"[column])
        step_axis(panels[-1, column], int(trained["step"].max()))
    for axes, label in zip(
        panels[:, 0], ("loss", "deviation from\n$n=\\infty$ [%]", "beyond\norder $1/n$ [%]"), strict=False
    ):
        axes.set_ylabel(label)
    outer_legend(figure, panels[0, 0], columns=trained.sizes["width"] + 2)
    return figure


def _draw_column(panels: np.ndarray, name: str, theory: xr.Dataset, trained: xr.Dataset) -> None:
    _draw_losses(panels[0], name, theory, trained)
    if name not in theory:
        return
    shown = theory[name].sel(step=trained["step"])
    shown = shown.where(shown > _VISIBLE * shown.max(), drop=True)
    _draw_deviation(panels[1], name, theory, trained, shown)
    if has_next_order(theory):
        _draw_rest(panels[2], name, theory, trained, shown)
        _share_limits(panels[1], panels[2])


def _draw_losses(axes: Axes, name: str, theory: xr.Dataset, trained: xr.Dataset) -> None:
    if name in theory:
        axes.plot(theory["step"], theory[name], color=THEORY, label=r"kernel prediction, $n=\infty$", zorder=3)
    if has_next_order(theory):
        axes.plot([], [], "--", color="0.4", label="with order $1/n$")
    for n, color in width_colors(trained["width"].values).items():
        of_width = trained.sel(width=n)
        low, high = np.quantile(of_width[f"member_{name}"].transpose("member", "step").values, (0.16, 0.84), axis=0)
        axes.fill_between(of_width["step"], low, high, color=color, alpha=0.22, lw=0)
        stderr = of_width[f"{name}_stderr"]
        axes.errorbar(of_width["step"], of_width[name], stderr, fmt="o", color=color, ms=2, label=f"$n={n}$")
    reference = theory[name] if name in theory else trained[name]
    _log_axis(axes, float(reference.min()), float(reference.max()))


def _share_limits(first: Axes, second: Axes) -> None:
    limits = [*first.get_ylim(), *second.get_ylim()]
    for axes in (first, second):
        axes.set_ylim(min(limits), max(limits))


def _log_axis(axes: Axes, smallest: float, largest: float) -> None:
    if largest < 30 * smallest:
        plain_log_axis(axes)
    else:
        axes.set_yscale("log")
    axes.set_ylim(bottom=max(1e-6 * largest, 0.3 * smallest))


def _draw_deviation(axes: Axes, name: str, theory: xr.Dataset, trained: xr.Dataset, shown: xr.DataArray) -> None:
    axes.axhline(0, color=THEORY)
    for n, color in width_colors(trained["width"].values).items():
        value, stderr = (100 * part.sel(step=shown["step"]) / shown for part in deviation(theory, trained, name, n))
        axes.errorbar(shown["step"], value, stderr, fmt="o", color=color, ms=2)
        if has_next_order(theory):
            first, error = (100 * part.sel(step=shown["step"]) / n / shown for part in next_order_of(theory, name))
            axes.plot(shown["step"], first, "--", color=color, lw=0.8)
            axes.fill_between(shown["step"], first - error, first + error, color=color, alpha=0.25, lw=0)


def _draw_rest(axes: Axes, name: str, theory: xr.Dataset, trained: xr.Dataset, shown: xr.DataArray) -> None:
    axes.axhline(0, color=THEORY)
    for n, color in width_colors(trained["width"].values).items():
        (value, stderr), (first, error) = deviation(theory, trained, name, n), next_order_of(theory, name)
        rest = 100 * (value - first / n).sel(step=shown["step"]) / shown
        spread = 100 * ((stderr**2 + (error / n) ** 2) ** 0.5).sel(step=shown["step"]) / shown
        axes.errorbar(shown["step"], rest, spread, fmt="o", color=color, ms=2)
