"""Covariance between different outputs after learning: zero at infinite width, Hebbian at order 1/n."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgflow.chapters.bayes.figures.shared import positions_of
from rgflow.figures.style import THEORY, mark_panel, new_figure, outer_legend, styled, width_colors

Array = NDArray[np.float64]


@styled
def draw(theory: xr.Dataset, posterior: xr.Dataset) -> Figure:
    """Draw n Cov(f_i, f_j | y), i != j, on test samples: every entry against theory, and the rms against width.

    Parameters
    ----------
    theory, posterior : xr.Dataset
        Results of ``theory/bayes`` and ``bayes/combine`` on ``width``.
    """
    figure = new_figure(height=2.8)
    entries, trend = figure.subplots(1, 2)
    if theory.sizes["output"] < 2:
        entries.text(0.5, 0.5, "one output", ha="center", va="center", transform=entries.transAxes)
        return figure
    test = positions_of(theory, "test")
    expected = _between_outputs(theory["posterior_covariance1"], test)
    widths = posterior["width"].values
    sampled = {
        int(n): tuple(
            _between_outputs(posterior[name].sel(width=n), test)
            for name in ("posterior_covariance", "posterior_covariance_stderr")
        )
        for n in widths
    }
    _draw_entries(entries, expected, sampled)
    _draw_trend(trend, expected, sampled)
    outer_legend(figure, entries, columns=min(widths.size + 1, 6))
    for axes, letter in ((entries, "a"), (trend, "b")):
        mark_panel(axes, letter)
    return figure


def _between_outputs(covariance: xr.DataArray, test: NDArray[np.int64]) -> Array:
    """Entries of outputs i < j on all pairs of test samples."""
    values = covariance.transpose("output_1", "output_2", "sample_1", "sample_2").values
    pairs = np.triu_indices(len(values), 1)
    return np.asarray(values[pairs][:, test][:, :, test].ravel())


def _draw_entries(axes: Axes, expected: Array, sampled: dict[int, tuple[Array, ...]]) -> None:
    ends = np.array([expected.min(), expected.max()])
    axes.plot(ends, ends, color=THEORY, label="order $1/n$")
    axes.axhline(0, color="0.6", lw=0.6)
    for n, color in width_colors(sampled).items():
        values, stderr = (n * entry for entry in sampled[n])
        axes.errorbar(expected, values, stderr, fmt="o", color=color, ms=2, elinewidth=0.6, label=f"$n={n}$")
    axes.set(xlabel="theory, coefficient of $1/n$", ylabel=r"$n\,\mathrm{Cov}(f_i, f_j\,|\,y)$, $i \neq j$")


def _draw_trend(axes: Axes, expected: Array, sampled: dict[int, tuple[Array, ...]]) -> None:
    widths = np.array(sorted(sampled), dtype=float)
    axes.plot(widths, np.sqrt(np.mean(expected**2)) / widths, color=THEORY)
    for n, color in width_colors(sampled).items():
        values, stderr = sampled[n]
        size = np.sqrt(np.maximum(np.mean(values**2 - stderr**2), 0.0))  # without what noise adds
        error = np.sqrt(np.sum((values * stderr) ** 2)) / np.maximum(size, np.sqrt(np.mean(stderr**2))) / values.size
        axes.errorbar(n, size, error, fmt="o", color=color)
    axes.set(xscale="log", xlabel="width $n$", ylabel="rms covariance between outputs")
    axes.set_ylim(bottom=0)
    axes.set_xticks(widths, [f"{n:.0f}" for n in widths])
    axes.xaxis.minorticks_off()
