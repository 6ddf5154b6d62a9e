"""Median train loss against the learning rate, of every initialization."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from rgflow.chapters.practice.figures.panels import COLORS, panels, recipe_legend
from rgflow.figures.style import styled
from rgflow.practice.contest import OPTIMIZERS

_AXES = {"sgd": "rate / largest safe one", "adam": "rate"}


@styled
def draw(trainings: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a row per optimizer and a column per activation; a cross on the edge where half of the seeds diverged.

    Parameters
    ----------
    trainings : mapping
        Activation and further labels of a cell to a result of :func:`rgflow.practice.contest.train_recipes`.
    """
    figure, axes = panels(trainings, rows=len(OPTIMIZERS), sharey="all")
    top = 4.0 * max(float(training["contest_zero_loss"]) for training in trainings.values())
    for row, optimizer in zip(axes, OPTIMIZERS, strict=True):
        row[0].set_ylabel(f"train loss, {optimizer}")
        for panel, training in zip(row, trainings.values(), strict=True):
            median = training["contest_train_loss"].sel(optimizer=optimizer).median("seed")
            rates = training["contest_rate"].sel(optimizer=optimizer)
            for recipe in training["recipe"].values:
                values = median.sel(recipe=recipe).values
                panel.plot(rates, values.clip(max=top), ".-", color=COLORS[str(recipe)], ms=3)
                panel.plot(rates[values > top], [top] * int((values > top).sum()), "x", color=COLORS[str(recipe)])
            panel.set(xscale="log", yscale="log", xlabel=_AXES[optimizer])
            if optimizer == "sgd":
                panel.set_xticks(rates.values, [f"{rate:g}" for rate in rates.values], minor=False)
                panel.minorticks_off()
    recipe_legend(figure)
    return figure
