"""What order 1/n of the mean prediction is made of: fluctuations of the NTK at the start, the dNTK and the ddNTK."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.chapters.training.figures.deviation import deviation
from rgflow.chapters.training.figures.final_predictions import spread_test_samples
from rgflow.figures.style import (
    CATEGORIES,
    THEORY,
    mark_panel,
    new_figure,
    outer_legend,
    step_axis,
    styled,
    width_colors,
)

_INPUTS = 3


@styled
def draw(theory: xr.Dataset, trained: xr.Dataset) -> Figure:
    """Draw n (E z - kernel prediction) against the step for three test inputs, and at the end for all of them, by part.

    Parameters
    ----------
    theory, trained : xr.Dataset
        As for :func:`rgflow.chapters.training.figures.training_curves.draw`, theory with order 1/n.
    """
    chosen = spread_test_samples(theory, _INPUTS)
    figure = new_figure(height=4.2)
    upper, lower = figure.subfigures(2, 1, height_ratios=(1.1, 1.0), squeeze=False)[:, 0]
    panels = upper.subplots(1, len(chosen), sharey=True, squeeze=False)[0]
    for axes, sample, letter in zip(panels, chosen, "abc", strict=False):
        _draw_path(axes, theory, trained, int(sample))
        axes.set_title(f"test input {sample}")
        mark_panel(axes, letter)
    panels[0].set_ylabel(r"$n\,(\mathrm{E}\,z - m)$")
    last = lower.subplots()
    _draw_end(last, theory)
    mark_panel(last, "abcd"[len(chosen)])
    outer_legend(figure, panels[0], columns=5)
    return figure


def _draw_path(axes: Axes, theory: xr.Dataset, trained: xr.Dataset, sample: int) -> None:
    at = {"sample": sample, "output": 0}
    parts = theory["prediction_mean1_parts"].isel(at)
    for part, color in zip(parts["part"].values, CATEGORIES, strict=False):
        axes.plot(parts["step"], parts.sel(part=part), color=color, lw=0.9, label=str(part))
    axes.plot(theory["step"], theory["prediction_mean1"].isel(at), color=THEORY, label="order $1/n$")
    width = int(trained["width"].max())
    value, stderr = (width * part.isel(at) for part in deviation(theory, trained, "prediction_mean", width))
    color = width_colors(trained["width"].values)[width]
    axes.errorbar(value["step"], value, stderr, fmt="o", color=color, ms=2, label=f"$n={width}$")
    axes.axhline(0, color="0.7", lw=0.6, zorder=0)
    step_axis(axes, int(theory["step"].max()))


def _draw_end(axes: Axes, theory: xr.Dataset) -> None:
    """Stacked bars of the parts at the end of training, and their sum."""
    test = np.flatnonzero(theory["role"].values == "test")
    parts = theory["prediction_mean1_limit_parts"].isel(sample=test, output=0).transpose("part", "sample").values
    positions = np.arange(len(test))
    for offset, (values, color) in enumerate(zip(parts, CATEGORIES, strict=False)):
        axes.bar(positions + 0.25 * (offset - 1), values, 0.25, color=color)
    axes.plot(positions, parts.sum(axis=0), "D", color=THEORY, ms=3, label="sum")
    axes.legend(loc="best")
    axes.axhline(0, color=THEORY, lw=0.6)
    axes.set_xticks(positions, [str(sample) for sample in test])
    axes.set(xlabel="test input", ylabel=r"$n\,(\mathrm{E}\,z - m)$" + "\nat the end, by part")
