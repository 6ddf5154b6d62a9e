"""Distribution of final predictions on test inputs against the Gaussian of the kernel prediction, per width."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from rgflow.chapters.training.figures.deviation import has_next_order, to_next_order
from rgflow.figures.image import draw_image
from rgflow.figures.style import THEORY, new_figure, styled, width_colors

_IMAGES = 4
_REACH = 4.0


@styled
def draw(theory: xr.Dataset, trained: xr.Dataset, inputs: xr.Dataset) -> Figure:
    """Draw a row per test input and a column per width: histogram over members, Gaussian of theory, target.

    Each panel states z of the ensemble mean and the ratio of standard deviations. The inputs shown are spread over the
    range of predicted means of the test set.

    Parameters
    ----------
    theory, trained : xr.Dataset
        As for :func:`rgflow.chapters.training.figures.training_curves.draw`; the last recorded step is shown.
    inputs : xr.Dataset
        ``x`` (sample, feature), ``y`` (sample, output).
    """
    chosen = spread_test_samples(theory, _IMAGES)
    colors = width_colors(trained["width"].values)
    figure = new_figure(height=0.7 + 1.15 * len(chosen))
    panels = figure.subplots(len(chosen), 1 + len(colors), squeeze=False, width_ratios=(0.45, *(1,) * len(colors)))
    for row, sample in zip(panels, chosen, strict=True):
        draw_image(row[0], inputs["x"].values[sample])
        row[0].set_title(f"test input {sample}\ntarget ${inputs['y'].values[sample, 0]:+.2g}$", fontsize=7)
        for axes, (n, color) in zip(row[1:], colors.items(), strict=True):
            _draw_histogram(axes, theory, trained.sel(width=n), sample, color)
            axes.axvline(inputs["y"].values[sample, 0], color="0.5", ls=":", lw=0.9)
    for axes, n in zip(panels[0, 1:], colors, strict=True):
        axes.annotate(f"$n={n}$", (0.5, 1.08), xycoords="axes fraction", ha="center", weight="bold")
    for axes in panels[-1, 1:]:
        axes.set_xlabel("final prediction $z$")
    _name_lines(figure, has_next_order(theory))
    return figure


def _name_lines(figure: Figure, next_order: bool) -> None:
    kinds = {"kernel prediction": ("-", THEORY), "with order $1/n$": ("--", "0.4"), "target": (":", "0.5")}
    lines = [
        Line2D([], [], ls=style, color=color, label=label)
        for label, (style, color) in kinds.items()
        if next_order or style != "--"
    ]
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines))


def spread_test_samples(theory: xr.Dataset, count: int) -> NDArray[np.int64]:
    """Positions of ``count`` test samples whose final mean predictions (output 0) are spread from lowest to highest."""
    test = np.flatnonzero(theory["role"].values == "test")
    final = theory["prediction_mean"].isel(step=-1, output=0).values[test]
    ranks = np.linspace(0, test.size - 1, min(count, test.size)).round().astype(int)
    return np.asarray(test[np.argsort(final, kind="stable")[ranks]])


def _draw_histogram(axes: Axes, theory: xr.Dataset, trained: xr.Dataset, sample: int, color: str) -> None:
    here = {"step": -1, "sample": sample, "output": 0}
    mean = float(theory["prediction_mean"].isel(here))
    sd = float(theory["prediction_covariance"].isel(step=-1, sample_1=sample, sample_2=sample)) ** 0.5
    values = trained["prediction"].isel(here).values
    edges = np.linspace(mean - _REACH * sd, mean + _REACH * sd, 25)
    axes.hist(np.clip(values, edges[0], edges[-1]), edges.tolist(), density=True, color=color, alpha=0.75, lw=0)
    fine = np.linspace(edges[0], edges[-1], 200)
    axes.plot(fine, _gaussian(fine, mean, sd**2), color=THEORY)
    if has_next_order(theory):
        width = int(trained["width"])
        mean1 = float(to_next_order(theory, "prediction_mean", width).isel(here))
        variance1 = to_next_order(theory, "prediction_covariance", width).isel(
            step=-1, sample_1=sample, sample_2=sample
        )
        axes.plot(fine, _gaussian(fine, mean1, float(variance1)), "--", color="0.4", lw=0.8)
    note = _score(theory, trained, here, mean) + "\n" + rf"$s/\sigma={values.std(ddof=1) / sd:.2f}$"
    axes.annotate(note, (0.02, 0.97), xycoords="axes fraction", va="top", fontsize=6)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set(yticks=[], xlim=(edges[0], edges[-1]))
    axes.spines["left"].set_visible(False)


def _score(theory: xr.Dataset, trained: xr.Dataset, here: dict[str, int], mean: float) -> str:
    """z of the mean of the whole ensemble against infinite width, and with order 1/n."""
    estimate, stderr = (float(trained[f"prediction_mean{suffix}"].isel(here)) for suffix in ("", "_stderr"))
    note = f"$z={(estimate - mean) / stderr:+.1f}$"
    if not has_next_order(theory):
        return note
    beyond = estimate - float(to_next_order(theory, "prediction_mean", int(trained["width"])).isel(here))
    return f"{note}\nwith $1/n$: ${beyond / stderr:+.1f}$"


def _gaussian(z: NDArray[np.float64], mean: float, variance: float) -> NDArray[np.float64]:
    """Density; none where order 1/n leaves no variance."""
    if variance <= 0:
        return np.full_like(z, np.nan)
    return np.asarray(np.exp(-((z - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance))
