"""Test losses after training, every seed, of every initialization at its best learning rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.chapters.practice.figures.panels import COLORS, panels, recipe_legend, zero_line
from rgflow.figures.style import styled
from rgflow.practice.contest import OPTIMIZERS, at_best_rate

_TOP = 4.0  # of the loss of the prediction 0: seeds above sit on the edge, open


@styled
def draw(trainings: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a row per optimizer and a column per activation; a point per seed, a bar at the median.

    Parameters
    ----------
    trainings : mapping
        Activation and further labels of a cell to a result of :func:`rgflow.practice.contest.train_recipes`.
    """
    figure, axes = panels(trainings, rows=len(OPTIMIZERS), sharey="all")
    for row, optimizer in zip(axes, OPTIMIZERS, strict=True):
        row[0].set_ylabel(f"test loss, {optimizer}")
        for panel, training in zip(row, trainings.values(), strict=True):
            zero_line(panel, training)
            _strip(panel, at_best_rate(training).sel(optimizer=optimizer), _TOP * float(training["contest_zero_loss"]))
            panel.set(yscale="log", xticks=[])
    recipe_legend(figure, marker="o", ls="")
    return figure


def _strip(axes: Axes, losses: xr.DataArray, top: float) -> None:
    aside = np.linspace(-0.3, 0.3, losses.sizes["seed"])
    for at, recipe in enumerate(losses["recipe"].values):
        color, values = COLORS[str(recipe)], losses.sel(recipe=recipe).values
        beyond = values > top
        axes.plot(at + aside[~beyond], values[~beyond], ".", color=color, ms=2.5, mew=0)
        axes.plot(at + aside[beyond], np.full(beyond.sum(), top), "o", color=color, ms=2.5, mfc="none")
        median = min(float(np.median(values)), top)
        axes.plot([at - 0.4, at + 0.4], [median, median], color=color, lw=1.4)
