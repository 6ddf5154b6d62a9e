"""What a network believes of the test inputs: mean and spread, at infinite width, to order 1/n and exactly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgflow.chapters.bayes.figures.shared import at_width, inputs_of, positions_of, shown_widths
from rgflow.figures.style import BAND, THEORY, mark_panel, new_figure, outer_legend, styled, width_colors

Array = NDArray[np.float64]
_MOST_INPUTS = 24
_OUTPUT = 0


class Line(NamedTuple):
    """Where the test inputs stand on the horizontal axis, in order, and how they are joined."""

    x: Array
    order: NDArray[np.int64]
    style: str
    label: str


@styled
def draw(theory: xr.Dataset, posterior: xr.Dataset, inputs: xr.Dataset) -> Figure:
    """Draw a panel per width: infinite width (black, grey band), order 1/n (dashed), sampled posterior (coloured, bars).

    Bands and bars are one standard deviation of the posterior; the errors of the means are smaller ticks. Inputs on a circle
    are ordered by their angle, with the train targets as crosses; any others by what is predicted of them.

    Parameters
    ----------
    theory, posterior, inputs : xr.Dataset
        Results of ``theory/bayes``, ``bayes/combine`` on ``width``, and ``inputs``.
    """
    train, test = inputs_of(theory, inputs)
    line = _line(theory, test)
    widths = shown_widths(posterior)
    figure = new_figure(height=2.5)
    panels = figure.subplots(1, len(widths), sharey=True, squeeze=False)[0]
    for axes, n, letter in zip(panels, widths, "abcd", strict=False):
        _draw_theory(axes, theory, line, n)
        _draw_posterior(axes, posterior.sel(width=n), line, positions_of(theory, "test"), width_colors(widths)[n])
        if line.style == "default":
            axes.plot(_angles(train), train["y"].values[:, _OUTPUT], "x", color="0.4", ms=4, label="train targets")
        axes.set(title=f"$n = {n}$", xlabel=line.label)
        mark_panel(axes, letter)
    panels[0].set_ylabel(f"output {_OUTPUT}" if theory.sizes["output"] > 1 else "output")
    outer_legend(figure, panels[0], columns=4)
    return figure


def _line(theory: xr.Dataset, test: xr.Dataset) -> Line:
    if _on_circle(test):
        order = np.argsort(_angles(test), kind="stable")
        return Line(_angles(test)[order], order, "default", "angle of the input")
    means = theory["posterior_mean"].values[positions_of(theory, "test"), _OUTPUT]
    ranked = np.argsort(means, kind="stable")
    kept = np.linspace(0, means.size - 1, min(_MOST_INPUTS, means.size)).round().astype(int)
    return Line(np.arange(kept.size, dtype=float), ranked[kept], "steps-mid", "test input, by prediction")


def _on_circle(test: xr.Dataset) -> bool:
    x = test["x"].values
    norms = np.linalg.norm(x, axis=1)
    return x.shape[1] == 2 and test.sizes["sample"] > 2 and bool(np.ptp(norms) < 1e-6 * norms.max())


def _angles(samples: xr.Dataset) -> Array:
    x = samples["x"].values
    return np.asarray(np.arctan2(x[:, 1], x[:, 0]))


def _draw_theory(axes: Axes, theory: xr.Dataset, line: Line, n: int) -> None:
    test = positions_of(theory, "test")[line.order]
    mean = theory["posterior_mean"].values[test, _OUTPUT]
    sd = np.sqrt(np.maximum(np.diag(theory["posterior_covariance"].values)[test], 0.0))
    axes.fill_between(
        line.x, mean - sd, mean + sd, step=None if line.style == "default" else "mid", color=BAND, lw=0, zorder=0
    )
    axes.plot(line.x, mean, color=THEORY, drawstyle=line.style, label="infinite width")
    corrected = at_width(theory, "posterior_mean", n).values[test, _OUTPUT]
    own = {"output_1": _OUTPUT, "output_2": _OUTPUT}
    covariance = theory["posterior_covariance"] + theory["posterior_covariance1"].isel(own) / n
    spread = np.sqrt(np.maximum(np.diag(covariance.values)[test], 0.0))
    axes.plot(line.x, corrected, "--", color=THEORY, drawstyle=line.style, label="order $1/n$")
    for edge in (corrected - spread, corrected + spread):
        axes.plot(line.x, edge, ":", color=THEORY, lw=0.7, drawstyle=line.style)


def _draw_posterior(axes: Axes, posterior: xr.Dataset, line: Line, test: NDArray[np.int64], color: str) -> None:
    chosen = test[line.order]
    mean = posterior["posterior_mean"].values[chosen, _OUTPUT]
    error = posterior["posterior_mean_stderr"].values[chosen, _OUTPUT]
    own = {"output_1": _OUTPUT, "output_2": _OUTPUT}
    variance = np.diag(posterior["posterior_covariance"].isel(own).transpose("sample_1", "sample_2").values)
    axes.errorbar(line.x, mean, np.sqrt(variance[chosen]), fmt="none", ecolor=color, elinewidth=0.7, alpha=0.6)
    axes.errorbar(line.x, mean, error, fmt="o", color=color, ms=2.5, elinewidth=1.6, label="sampled networks")
