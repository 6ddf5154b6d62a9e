"""Predictions on test inputs at every recorded step: mean and standard deviation, theory and ensembles."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.chapters.training.figures.deviation import has_next_order, to_next_order
from rgflow.chapters.training.figures.final_predictions import spread_test_samples
from rgflow.figures.style import THEORY, mark_panel, new_figure, outer_legend, step_axis, styled, width_colors

_INPUTS = 3


@styled
def draw(theory: xr.Dataset, trained: xr.Dataset) -> Figure:
    """Draw mean (upper row) and standard deviation over members (lower row) of the prediction on three test inputs.

    Parameters
    ----------
    theory, trained : xr.Dataset
        As for :func:`rgflow.chapters.training.figures.training_curves.draw`. Error bars are one standard error, dashed lines
        add order 1/n.
    """
    chosen = spread_test_samples(theory, _INPUTS)
    figure = new_figure(height=3.6)
    panels = figure.subplots(2, len(chosen), sharex=True, sharey="row", squeeze=False)
    for column, sample in enumerate(chosen):
        _draw_means(panels[0, column], theory, trained, int(sample))
        _draw_deviations(panels[1, column], theory, trained, int(sample))
        panels[0, column].set_title(f"test input {sample}")
        mark_panel(panels[0, column], "abc"[column])
        step_axis(panels[1, column], int(theory["step"].max()))
    panels[0, 0].set_ylabel(r"mean $\mathrm{E}\,z$")
    panels[1, 0].set_ylabel(r"standard deviation of $z$")
    panels[1, 0].set_ylim(bottom=0)
    outer_legend(figure, panels[0, 0], columns=trained.sizes["width"] + 2)
    return figure


def _draw_means(axes: Axes, theory: xr.Dataset, trained: xr.Dataset, sample: int) -> None:
    at = {"sample": sample, "output": 0}
    axes.plot(theory["step"], theory["prediction_mean"].isel(at), color=THEORY, label=r"kernel prediction, $n=\infty$")
    if has_next_order(theory):
        axes.plot([], [], "--", color="0.4", label="with order $1/n$")
    for n, color in width_colors(trained["width"].values).items():
        one = trained.sel(width=n)
        mean, stderr = one["prediction_mean"].isel(at), one["prediction_mean_stderr"].isel(at)
        axes.errorbar(one["step"], mean, stderr, fmt="o", color=color, ms=2, label=f"$n={n}$")
        _draw_next_order(axes, theory, to_next_order(theory, "prediction_mean", n).isel(at), color)


def _draw_deviations(axes: Axes, theory: xr.Dataset, trained: xr.Dataset, sample: int) -> None:
    at = {"sample_1": sample, "sample_2": sample}
    axes.plot(theory["step"], theory["prediction_covariance"].isel(at) ** 0.5, color=THEORY)
    for n, color in width_colors(trained["width"].values).items():
        one = trained.sel(width=n)
        sd = np.sqrt(one["prediction_covariance"].isel(at))
        stderr = one["prediction_covariance_stderr"].isel(at) / (2 * sd)  # d sqrt(c) = dc / (2 sqrt(c))
        axes.errorbar(one["step"], sd, stderr, fmt="o", color=color, ms=2)
        variance = to_next_order(theory, "prediction_covariance", n).isel(at)
        _draw_next_order(axes, theory, variance.where(variance > 0) ** 0.5, color)


def _draw_next_order(axes: Axes, theory: xr.Dataset, values: xr.DataArray, color: str) -> None:
    if has_next_order(theory):
        axes.plot(theory["step"], values, "--", color=color, lw=0.8)
