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


class Abscissa(NamedTuple):
    """How test inputs stand on the horizontal axis.

    Attributes
    ----------
    x
        Places, ascending.
    order
        The test inputs at these places.
    joined
        Whether what is between them means something.
    label
        Of the axis.
    """

    x: Array
    order: NDArray[np.int64]
    joined: bool
    label: str

    def places(self) -> Array:
        """Where theory is drawn: at x, or on a short piece about each x."""
        return self.x if self.joined else _pieces(self.x - 0.35, self.x + 0.35)

    def drawn(self, values: Array) -> Array:
        """Values at ``places``."""
        return values if self.joined else _pieces(values, values)


def _pieces(left: Array, right: Array) -> Array:
    """Ends of pieces one after the other, with a gap between them."""
    return np.stack([left, right, np.full(left.size, np.nan)], axis=1).ravel()


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
        if _on_circle(test):
            axes.plot(_angles(train), train["y"].values[:, _OUTPUT], "x", color="0.4", ms=4, label="train targets")
        axes.set(title=f"$n = {n}$", xlabel=line.label)
        mark_panel(axes, letter)
    panels[0].set_ylabel(f"output {_OUTPUT}" if theory.sizes["output"] > 1 else "output")
    outer_legend(figure, panels[0], columns=4)
    return figure


def _line(theory: xr.Dataset, test: xr.Dataset) -> Abscissa:
    if _on_circle(test):
        order = np.argsort(_angles(test), kind="stable")
        return Abscissa(_angles(test)[order], order, True, "angle of the input")
    means = theory["posterior_mean"].values[positions_of(theory, "test"), _OUTPUT]
    ranked = np.argsort(means, kind="stable")
    kept = np.linspace(0, means.size - 1, min(_MOST_INPUTS, means.size)).round().astype(int)
    return Abscissa(np.arange(kept.size, dtype=float), ranked[kept], False, "test input, by prediction")


def _on_circle(test: xr.Dataset) -> bool:
    x = test["x"].values
    norms = np.linalg.norm(x, axis=1)
    return x.shape[1] == 2 and test.sizes["sample"] > 2 and bool(np.ptp(norms) < 1e-6 * norms.max())


def _angles(samples: xr.Dataset) -> Array:
    x = samples["x"].values
    return np.asarray(np.arctan2(x[:, 1], x[:, 0]))


def _draw_theory(axes: Axes, theory: xr.Dataset, line: Abscissa, n: int) -> None:
    test, own = positions_of(theory, "test")[line.order], {"output_1": _OUTPUT, "output_2": _OUTPUT}
    mean = line.drawn(theory["posterior_mean"].values[test, _OUTPUT])
    sd = line.drawn(_deviation(theory["posterior_covariance"], test))
    axes.fill_between(line.places(), mean - sd, mean + sd, color=BAND, lw=0, zorder=0)
    axes.plot(line.places(), mean, color=THEORY, label="infinite width")
    mean = line.drawn(at_width(theory, "posterior_mean", n).values[test, _OUTPUT])
    sd = line.drawn(_deviation(theory["posterior_covariance"] + theory["posterior_covariance1"].isel(own) / n, test))
    axes.plot(line.places(), mean, "--", color=THEORY, label="order $1/n$")
    for edge in (mean - sd, mean + sd):
        axes.plot(line.places(), edge, ":", color=THEORY, lw=0.7)


def _deviation(covariance: xr.DataArray, chosen: NDArray[np.int64]) -> Array:
    """Standard deviations of some samples; 0 where order 1/n makes a variance negative."""
    variance = np.diag(covariance.transpose("sample_1", "sample_2").values)[chosen]
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def _draw_posterior(axes: Axes, posterior: xr.Dataset, line: Abscissa, test: NDArray[np.int64], color: str) -> None:
    chosen = test[line.order]
    mean = posterior["posterior_mean"].values[chosen, _OUTPUT]
    error = posterior["posterior_mean_stderr"].values[chosen, _OUTPUT]
    own = {"output_1": _OUTPUT, "output_2": _OUTPUT}
    sd = _deviation(posterior["posterior_covariance"].isel(own), chosen)
    axes.errorbar(line.x, mean, sd, fmt="none", ecolor=color, elinewidth=0.7, alpha=0.6)
    axes.errorbar(line.x, mean, error, fmt="o", color=color, ms=2.5, elinewidth=1.6, label="sampled networks")
