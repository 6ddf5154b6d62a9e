"""How many networks of the prior still count after seeing the data, predicted and measured."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import CATEGORIES, THEORY, mark_panel, new_figure, styled


@styled
def draw(theory: xr.Dataset, posterior: xr.Dataset) -> Figure:
    """Draw the effective fraction of reweighted prior draws against width with exp(-c/n), and the stages of tempering.

    Parameters
    ----------
    theory, posterior : xr.Dataset
        Results of ``theory/bayes`` and ``bayes/combine`` on ``width``.
    """
    figure = new_figure(height=2.5)
    fraction, stages = figure.subplots(1, 2)
    widths = posterior["width"].values.astype(float)
    _draw_fraction(fraction, theory, posterior, widths)
    count = np.isfinite(posterior["beta"].transpose("width", "stage").values).sum(1)
    stages.plot(widths, count, "o-", color=CATEGORIES[1])
    stages.set(ylabel="stages of tempering", ylim=(0, count.max() + 1))
    stages.yaxis.get_major_locator().set_params(integer=True)
    for axes, letter in ((fraction, "a"), (stages, "b")):
        axes.set(xscale="log", xlabel="width $n$")
        axes.set_xticks(widths, [f"{n:.0f}" for n in widths])
        axes.xaxis.minorticks_off()
        mark_panel(axes, letter)
    return figure


def _draw_fraction(axes: Axes, theory: xr.Dataset, posterior: xr.Dataset, widths: np.ndarray) -> None:
    c = float(theory["log_weight_variance"])
    fine = np.geomspace(widths.min() / 1.2, widths.max() * 1.2, 100)
    axes.plot(fine, np.exp(-c / fine), color=THEORY, label=rf"$\exp(-c/n)$, $c={c:.3g}$")
    name = "effective_sample_fraction"
    axes.errorbar(
        widths, posterior[name], posterior[f"{name}_stderr"], fmt="o", color=CATEGORIES[0], label="prior draws"
    )
    axes.plot(widths, _at_the_end(posterior), "s", mfc="white", color=CATEGORIES[1], label="after tempering")
    axes.set(ylim=(0, 1.05), ylabel="effective fraction of the networks")
    axes.legend(loc="best")


def _at_the_end(posterior: xr.Dataset) -> np.ndarray:
    """The last stage's effective fraction, of each width."""
    ess = posterior["ess"].transpose("width", "stage").values
    last = np.isfinite(ess).sum(1) - 1
    return np.asarray(ess[np.arange(len(ess)), last])
