"""How many networks of the prior still count after seeing the data, predicted and measured, against width and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rgflow.figures.style import category_colors, mark_panel, new_figure, styled, width_colors

_FRACTION = "effective_sample_fraction"


class Case(NamedTuple):
    """Both sides after seeing ``train`` samples."""

    train: int
    theory: xr.Dataset
    posterior: xr.Dataset

    @property
    def c(self) -> float:
        """Variance of n log weights: exp(-c/n) of the networks count."""
        return float(self.theory["log_weight_variance"])

    @property
    def widths(self) -> np.ndarray:
        """Widths that were sampled."""
        return np.asarray(self.posterior["width"].values, dtype=float)


@styled
def draw(theories: Mapping[str, xr.Dataset], posteriors: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the effective fraction of reweighted prior draws with exp(-c/n), and the stages of tempering.

    Against width, a colour for each number of train samples; against these, a colour for each width, if there are several.

    Parameters
    ----------
    theories, posteriors : mapping
        Labels of a cell to a result of ``theory/bayes`` and one of ``bayes/combine``, on ``width``.
    """
    cases = sorted(
        Case(int((theory["role"] == "train").sum()), theory, posteriors[label]) for label, theory in theories.items()
    )
    several = len(cases) > 1
    figure = new_figure(height=2.5)
    panels = figure.subplots(1, 2 + several)
    _draw_against_width(panels[0], cases)
    _draw_stages(panels[1], cases)
    if several:
        _draw_against_data(panels[2], cases)
    for axes, letter in zip(panels, "abc", strict=False):
        mark_panel(axes, letter)
    return figure


def _draw_against_width(axes: Axes, cases: Sequence[Case]) -> None:
    for case, color in _colored(cases):
        fine = np.geomspace(case.widths.min() / 1.2, case.widths.max() * 1.2, 100)
        axes.plot(fine, np.exp(-case.c / fine), color=color, label=rf"$N_A={case.train}$, $c={case.c:.3g}$")
        measured, error = (case.posterior[f"{_FRACTION}{suffix}"] for suffix in ("", "_stderr"))
        axes.errorbar(case.widths, measured, error, fmt="o", color=color)
        axes.plot(case.widths, _at_the_end(case.posterior), "s", mfc="white", color=color)
    axes.set(ylim=(0, 1.05), ylabel="effective fraction of the networks")
    axes.legend(loc="best")
    _mark_widths(axes, cases)


def _draw_stages(axes: Axes, cases: Sequence[Case]) -> None:
    highest = 0
    for case, color in _colored(cases):
        count = np.isfinite(case.posterior["beta"].transpose("width", "stage").values).sum(1)
        axes.plot(case.widths, count, "o-", color=color)
        highest = max(highest, int(count.max()))
    axes.set(ylabel="stages of tempering", ylim=(0, highest + 1))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_widths(axes, cases)


def _draw_against_data(axes: Axes, cases: Sequence[Case]) -> None:
    counts = [case.train for case in cases]
    for n, color in width_colors(cases[0].widths.astype(int).tolist()).items():
        axes.plot(counts, [np.exp(-case.c / n) for case in cases], color=color, label=f"$n={n}$")
        here = [case.posterior.sel(width=n) for case in cases]
        measured, error = ([float(one[f"{_FRACTION}{suffix}"]) for one in here] for suffix in ("", "_stderr"))
        axes.errorbar(counts, measured, error, fmt="o", color=color)
    axes.set(xscale="log", xlabel="train samples $N_A$", ylim=(0, 1.05))
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.xaxis.minorticks_off()
    axes.legend(loc="best")


def _colored(cases: Sequence[Case]) -> list[tuple[Case, str]]:
    colors = category_colors(str(case.train) for case in cases)
    return [(case, colors[str(case.train)]) for case in cases]


def _mark_widths(axes: Axes, cases: Sequence[Case]) -> None:
    widths = cases[0].widths
    axes.set(xscale="log", xlabel="width $n$")
    axes.set_xticks(widths, [f"{n:.0f}" for n in widths])
    axes.xaxis.minorticks_off()


def _at_the_end(posterior: xr.Dataset) -> np.ndarray:
    """The last stage's effective fraction, of each width."""
    ess = posterior["ess"].transpose("width", "stage").values
    last = np.isfinite(ess).sum(1) - 1
    return np.asarray(ess[np.arange(len(ess)), last])
