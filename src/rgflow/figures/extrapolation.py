"""Trend in 1/n at the last layer: ensembles, fit and its intercept against theory."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.component import along_layers, legs_of, of_quantity, tensor_symbol, tensors_of
from rgflow.figures.style import (
    CATEGORIES,
    FULL_WIDTH,
    MARKERS,
    THEORY,
    mark_panel,
    new_figure,
    styled,
)

_CLEAR = 0.12  # distance of tick labels as a fraction of the axis


@styled
def draw(comparison: xr.Dataset) -> Figure:
    """Draw experiment / theory against 1/n at the last layer, for a component of a single input and one of two inputs.

    Points are ensembles, lines the free fit c_0 + c_1/n (+ c_2/n^2), open symbols its intercept; the dashed line is the
    next order where theory gives it. All should meet the black diamond, theory at infinite width.

    Parameters
    ----------
    comparison : xr.Dataset
        Result of :func:`rgflow.comparison.compare.compare` with two or more widths.
    """
    shown = tensors_of(comparison)
    figure = new_figure(height=2.5, width=FULL_WIDTH * max(1.0, len(shown) / 4))
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, name, letter in zip(panels, shown, "abcdefg", strict=False):
        _draw_panel(axes, name, comparison)
        mark_panel(axes, letter)
    panels[0].set_ylabel("experiment / theory at $n=\\infty$")
    return figure


def _draw_panel(axes: Axes, name: str, comparison: xr.Dataset) -> None:
    last = of_quantity(comparison, name)["layer"].values.max()
    legs = [(0,) * legs_of(name), _two_inputs(comparison, name)]
    for chosen, color, marker in zip(dict.fromkeys(legs), CATEGORIES, MARKERS, strict=False):
        series = along_layers(comparison, name, chosen)
        point = series.isel(component=series["layer"].values == last).isel(component=0)
        _draw_component(axes, point, color, marker, tensor_symbol(name, chosen))
    axes.plot(0, 1, "D", color=THEORY, ms=4, zorder=5, clip_on=False)
    widths = comparison["width"].values
    axes.set_xlim(-0.06 / widths.min(), 1.08 / widths.min())
    shown = _apart(widths)
    axes.set_xticks([0, *(1 / n for n in shown)], ["0", *(f"1/{n}" for n in shown)])
    axes.set_xticks(1 / widths, minor=True)
    axes.set_xlabel("$1/n$")
    axes.legend(title=rf"layer $\ell={last}$", title_fontsize=7, loc="best")


def _apart(widths: np.ndarray) -> list[int]:
    """Widths, narrowest first, whose labels 1/n stay clear of each other and of 0."""
    shown: list[int] = []
    for n in sorted(widths.tolist()):
        here, last = 1 / n, 1 / shown[-1] if shown else np.inf
        if min(last - here, here) > _CLEAR / min(widths):
            shown.append(n)
    return shown


def _two_inputs(comparison: xr.Dataset, name: str) -> tuple[int, ...]:
    """Component of inputs 0 and 1 if there are two inputs: (0, 1), (0, 1, 1) or (0, 1, 0, 1)."""
    second = min(1, int(of_quantity(comparison, name)["sample_2"].max()))
    return (0, second, second) if legs_of(name) == 3 else (0, second) * (legs_of(name) // 2)


def _draw_component(axes: Axes, point: xr.Dataset, color: str, marker: str, label: str) -> None:
    unit = 1 / float(point["theory"])
    x = 1 / point["width"].values
    axes.errorbar(x, point["experiment"] * unit, point["stderr"] * abs(unit), fmt=marker, color=color, label=label)
    fine = np.linspace(0, 1.04 * x.max(), 60)
    axes.plot(fine, _fitted(point, fine) * unit, color=color, lw=0.8)
    intercept, stderr = float(point["intercept"]) * unit, float(point["intercept_stderr"]) * abs(unit)
    axes.errorbar(0, intercept, stderr, fmt=marker, color=color, mfc="white", zorder=4, clip_on=False)
    if point["next_order_known"]:
        axes.plot(fine, 1 + float(point["next_order"]) * unit * fine, "--", color=color, lw=0.8)


def _fitted(point: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """The free fit whose intercept and chi^2 the comparison reports."""
    coefficients = zip(point["fit_coefficient"].values, point["power"].values, strict=True)
    return np.asarray(sum(c * x**power for c, power in coefficients))
