"""Overview of all z-scores: their distribution, every component per quantity, and how the deviation falls with width."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from rgflow.figures.component import of_quantity
from rgflow.figures.style import (
    BAND,
    THEORY,
    category_colors,
    mark_panel,
    new_figure,
    styled,
    width_colors,
    z_band,
)

_LIMIT = 5.0
_TALLEST = 9.0  # inches
_TOP = 1.1  # inches, of the distribution


@styled
def draw(comparisons: Mapping[str, xr.Dataset]) -> Figure:
    """Draw (a) the distribution of z at n = infinity, (b) z of every component, (c) rms z of every width by quantity.

    Parameters
    ----------
    comparisons : mapping
        Name of a cell, its stage as the last word, to a result of :mod:`rgflow.comparison.compare`; with a single width z is
        that of its networks. Cells of several stages that are named alike have one colour.
    """
    quantities = list(dict.fromkeys(str(q) for c in comparisons.values() for q in c["quantity"].values))
    colors = category_colors(dict.fromkeys(_without_stage(label) for label in comparisons))
    strip_count = sum(c.sizes["quantity"] for c in comparisons.values())
    height = min(max(3.0, 1.2 + 0.11 * strip_count), _TALLEST)
    figure = new_figure(height=height + _TOP)
    grid = figure.add_gridspec(2, 2, height_ratios=(_TOP, height), width_ratios=(1.2, 1.0))
    strips = figure.add_subplot(grid[1, 0])
    histogram = figure.add_subplot(grid[0, 0], sharex=strips)
    trend = figure.add_subplot(grid[1, 1], sharey=strips)
    _draw_strips(strips, comparisons, quantities, colors)
    _draw_histogram(histogram, comparisons, quantities)
    _draw_trend(trend, comparisons, quantities)
    handles = [Line2D([], [], ls="", marker="o", color=c, label=name) for name, c in colors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
    _draw_key(figure.add_subplot(grid[0, 1]), comparisons)
    for axes, letter in zip((histogram, strips, trend), "abc", strict=True):
        mark_panel(axes, letter)
    return figure


def _without_stage(label: str) -> str:
    return label.rpartition(" ")[0] or label


def _draw_strips(
    axes: Axes, comparisons: Mapping[str, xr.Dataset], quantities: list[str], colors: Mapping[str, str]
) -> None:
    """One row per quantity and cell; components beyond the frame sit as open symbols on its edge."""
    z_band(axes, "vertical")
    rng = np.random.default_rng(0)
    for row, quantity in enumerate(quantities):
        cells = {label: c for label, c in comparisons.items() if quantity in c["quantity"].values}
        step = 0.8 / len(cells)
        for position, (label, comparison) in enumerate(cells.items()):
            z = _scores(of_quantity(comparison, quantity))
            y = row - 0.4 + step * (position + 0.5) + step * rng.uniform(-0.35, 0.35, z.size)
            inside = np.abs(z) < _LIMIT
            color = colors[_without_stage(label)]
            axes.plot(z[inside], y[inside], ".", color=color, ms=2.5, mew=0)
            axes.plot(np.clip(z[~inside], -_LIMIT, _LIMIT), y[~inside], "o", color=color, ms=2.5, mfc="none")
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
    axes.set(ylabel="density")
    axes.tick_params(labelbottom=False)
    axes.set_title(f"{z.size} components, rms {np.sqrt(np.average(z**2, weights=weights)):.2f}")


def _draw_trend(axes: Axes, comparisons: Mapping[str, xr.Dataset], quantities: list[str]) -> None:
    """Median over cells of the rms z of every width: leading order (filled), and with the next where theory gives it (open)."""
    axes.axvspan(0.5, 1.5, color=BAND, lw=0, zorder=0)
    axes.axvline(1, color=THEORY, lw=0.6, zorder=1)
    for row, quantity in enumerate(quantities):
        cells = [c.sel(quantity=quantity) for c in comparisons.values() if quantity in c["quantity"].values]
        colors = width_colors(cells[0]["width"].values)
        leading, following = (_median(cells, name) for name in ("z_leading_rms", "z_next_rms"))
        heights = row + np.linspace(-0.24, 0.24, len(colors) + 2)[1:-1]
        for color, y, before, after in zip(colors.values(), heights, leading, following, strict=True):
            if before != after:
                axes.plot([before, after], [y, y], color=color, lw=0.6)
                axes.plot(after, y, "o", color=color, mfc="white", ms=2.5)
            axes.plot(before, y, "o", color=color, ms=2.5)
    axes.set(xscale="log", xlabel="rms $z$ at width $n$")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelleft=False)


def _draw_key(axes: Axes, comparisons: Mapping[str, xr.Dataset]) -> None:
    """What the symbols of the widths mean."""
    widths = width_colors({int(n) for c in comparisons.values() for n in c["width"].values})
    kinds = {"leading order": "0.4", "with next order": "white"}
    handles = [Line2D([], [], ls="", marker="o", color="0.4", mfc=fill, label=kind) for kind, fill in kinds.items()]
    handles += [Line2D([], [], ls="", marker="o", color=color, label=f"$n={n}$") for n, color in widths.items()]
    axes.set_axis_off()
    axes.legend(handles=handles, loc="lower center", ncols=2)


def _median(cells: list[xr.Dataset], name: str) -> np.ndarray:
    return np.asarray(np.median([cell[name].values for cell in cells], axis=0))


def _symbol(comparisons: Mapping[str, xr.Dataset], quantity: str) -> str:
    """Mathtext of a quantity, as the comparisons that hold it say."""
    return next(
        f"${c['symbol'].sel(quantity=quantity).item()}$" for c in comparisons.values() if quantity in c["quantity"]
    )
