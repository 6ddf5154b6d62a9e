"""Overview of all z-scores: strips per quantity, their distribution, and how the deviation falls with width."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rgflow.figures.component import of_quantity
from rgflow.figures.style import (
    MARKERS,
    THEORY,
    category_colors,
    mark_panel,
    new_figure,
    plain_log_axis,
    styled,
    z_band,
)

_LIMIT = 5.0
_TALLEST = 9.0  # inches


@styled
def draw(comparisons: Mapping[str, xr.Dataset]) -> Figure:
    """Draw (a) z at n = infinity of every component, (b) its distribution, (c) rms z against width.

    Parameters
    ----------
    comparisons : mapping
        Cell label to a result of :mod:`rgflow.comparison.compare`; with a single width z is that of its networks.
    """
    quantities = list(dict.fromkeys(str(q) for c in comparisons.values() for q in c["quantity"].values))
    strip_count = sum(c.sizes["quantity"] for c in comparisons.values())
    figure = new_figure(height=min(max(3.0, 1.2 + 0.14 * strip_count), _TALLEST))
    strips, histogram, trend = figure.subplots(1, 3, width_ratios=(1.5, 1.0, 1.2))
    _draw_strips(strips, comparisons, quantities)
    _draw_histogram(histogram, comparisons, quantities)
    _draw_trend(trend, comparisons, quantities)
    handles = [
        Line2D([], [], ls="", marker="o", color=c, label=name) for name, c in category_colors(comparisons).items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if len(handles) > 3 else len(handles))
    for axes, letter in zip((strips, histogram, trend), "abc", strict=True):
        mark_panel(axes, letter)
    return figure


def _draw_strips(axes: Axes, comparisons: Mapping[str, xr.Dataset], quantities: list[str]) -> None:
    """One row per quantity and cell; components beyond the frame sit as open symbols on its edge."""
    z_band(axes, "vertical")
    colors = category_colors(comparisons)
    rng = np.random.default_rng(0)
    for row, quantity in enumerate(quantities):
        cells = {label: c for label, c in comparisons.items() if quantity in c["quantity"].values}
        step = 0.8 / len(cells)
        for position, (label, comparison) in enumerate(cells.items()):
            z = _scores(of_quantity(comparison, quantity))
            y = row - 0.4 + step * (position + 0.5) + step * rng.uniform(-0.35, 0.35, z.size)
            inside = np.abs(z) < _LIMIT
            axes.plot(z[inside], y[inside], ".", color=colors[label], ms=2.5, mew=0)
            axes.plot(np.clip(z[~inside], -_LIMIT, _LIMIT), y[~inside], "o", color=colors[label], ms=2.5, mfc="none")
    axes.set(xlim=(-1.04 * _LIMIT, 1.04 * _LIMIT), xlabel=r"$z$ at $n=\infty$", ylim=(len(quantities) - 0.45, -0.55))
    axes.set_yticks(range(len(quantities)), [_symbol(comparisons, quantity) for quantity in quantities])


def _scores(comparison: xr.Dataset) -> np.ndarray:
    """z at infinite width; with a single width, z of its networks against the best order known."""
    z = comparison["z_intercept"] if "z_intercept" in comparison else comparison["z_next"].isel(width=0)
    return np.asarray(z.values)


def _draw_histogram(axes: Axes, comparisons: Mapping[str, xr.Dataset], quantities: list[str]) -> None:
    """Every quantity of every cell weighs the same, however many components it has."""
    groups = [_scores(of_quantity(c, quantity)) for c in comparisons.values() for quantity in quantities]
    weights = np.concatenate([np.full(group.size, 1 / group.size) for group in groups if group.size])
    z = np.concatenate(groups)
    edges = np.linspace(-_LIMIT, _LIMIT, 31)
    axes.hist(np.clip(z, -_LIMIT, _LIMIT), edges.tolist(), weights=weights, density=True, color="0.75")
    fine = np.linspace(-_LIMIT, _LIMIT, 200)
    axes.plot(fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), color=THEORY)
    axes.set(xlabel=r"$z$ at $n=\infty$", ylabel="density, equal weight per quantity")
    axes.set_title(f"{z.size} components\nrms {np.sqrt(np.average(z**2, weights=weights)):.2f}")


def _draw_trend(axes: Axes, comparisons: Mapping[str, xr.Dataset], quantities: list[str]) -> None:
    """Median over cells of the rms z, leading order (solid) and with the next order where theory gives it (dashed)."""
    axes.axhspan(0.5, 1.5, color="0.9", lw=0, zorder=0)
    for position, (quantity, marker) in enumerate(zip(quantities, cycle(MARKERS), strict=False)):
        color = str(0.7 * position / len(quantities))
        cells = [c.sel(quantity=quantity) for c in comparisons.values() if quantity in c["quantity"].values]
        widths = cells[0]["width"]
        leading, following = (_median(cells, name) for name in ("z_leading_rms", "z_next_rms"))
        axes.plot(widths, leading, marker=marker, color=color, label=_symbol(comparisons, quantity))
        if not np.array_equal(leading, following):
            axes.plot(widths, following, "--", marker=marker, color=color, mfc="white")
    axes.set(xscale="log", xlabel="width $n$", ylabel="rms $z$ at width $n$")
    axes.set_xticks(widths.values, [str(n) for n in widths.values])
    axes.xaxis.minorticks_off()
    plain_log_axis(axes)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _median(cells: list[xr.Dataset], name: str) -> np.ndarray:
    return np.asarray(np.median([cell[name].values for cell in cells], axis=0))


def _symbol(comparisons: Mapping[str, xr.Dataset], quantity: str) -> str:
    """Mathtext of a quantity, as the comparisons that hold it say."""
    return next(
        f"${c['symbol'].sel(quantity=quantity).item()}$" for c in comparisons.values() if quantity in c["quantity"]
    )
