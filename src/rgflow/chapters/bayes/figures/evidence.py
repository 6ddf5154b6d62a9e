"""Which initialization and depth the data prefer: the log evidence over (C_b, C_W) and over depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from rgflow.figures.style import FULL_WIDTH, THEORY, mark_panel, new_figure, styled, width_colors

Array = NDArray[np.float64]
_MOST_DEPTHS = 3
_LARGE = 1.0  # a shift of the log evidence by which order 1/n is no small correction


class Sampled(NamedTuple):
    """A posterior that was sampled: where it is on the map, what theory says of it, and its evidence by width."""

    C_b: float
    C_W: float
    depth: int
    theory: xr.Dataset
    posterior: xr.Dataset


@styled
def draw(evidence: xr.Dataset, theories: Mapping[str, xr.Dataset], posteriors: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the map at infinite width and to order 1/n of the narrowest width, a row per depth, and the evidence over depth.

    Circles on the map of order 1/n are sampled networks of that width, in the same colours; stars are the critical point.
    Hatched: order 1/n exceeds the largest possible evidence, or moves the evidence by more than one.

    Parameters
    ----------
    evidence : xr.Dataset
        Result of ``theory/evidence``.
    theories, posteriors : mapping
        Results of ``theory/bayes`` and ``bayes/combine`` by the words of their cell.
    """
    sampled = list(_sampled(theories, posteriors))
    depths = _spread(evidence["depth"].values.tolist())
    n = min(int(one.posterior["width"].min()) for one in sampled)
    figure = new_figure(height=0.6 + 1.75 * len(depths), width=FULL_WIDTH)
    grid = figure.add_gridspec(len(depths), 3, width_ratios=(1.0, 1.0, 1.5))
    panels = [[figure.add_subplot(grid[row, column]) for column in range(2)] for row in range(len(depths))]
    scale = _scale(evidence.sel(depth=depths))
    for row, depth in zip(panels, depths, strict=True):
        _draw_row(row, evidence.sel(depth=depth), [one for one in sampled if one.depth == depth], scale, n)
    for axes, title, letter in zip(panels[0], (r"infinite width", f"order $1/n$, $n={n}$"), "ab", strict=True):
        axes.set_title(title)
        mark_panel(axes, letter)
    for axes in panels[-1]:
        axes.set_xlabel("$C_W$")
    maps = [axes for row in panels for axes in row]
    bar = figure.colorbar(ScalarMappable(scale, "viridis"), ax=maps, extend="min", aspect=30)
    bar.set_label(r"$\log p(y)$")
    over_depth = figure.add_subplot(grid[:, 2])
    _draw_over_depth(over_depth, sampled)
    mark_panel(over_depth, "c")
    return figure


def _sampled(theories: Mapping[str, xr.Dataset], posteriors: Mapping[str, xr.Dataset]) -> Iterator[Sampled]:
    for cell, posterior in posteriors.items():
        theory = theories[cell]
        C_b, C_W = (float(theory[name].values[-1]) for name in ("layer_C_b", "layer_C_W"))
        yield Sampled(C_b, C_W, theory.sizes["layer"], theory, posterior)


def _spread(depths: list[int]) -> list[int]:
    places = np.unique(np.linspace(0, len(depths) - 1, min(_MOST_DEPTHS, len(depths))).round().astype(int))
    return [sorted(depths)[place] for place in places]


def _scale(evidence: xr.Dataset) -> Normalize:
    """Colours for the better part of the map: far from criticality the evidence falls without bounds."""
    values = evidence["log_evidence"].values
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Normalize(-1.0, 0.0)
    top = float(finite.max())
    return Normalize(min(float(np.quantile(finite, 0.2)), top - 1.0), top + _LARGE)


def _next(evidence: xr.Dataset, n: int) -> xr.DataArray:
    return evidence["log_evidence"] + evidence["log_evidence1"] / n


def _draw_row(row: list[Axes], evidence: xr.Dataset, sampled: list[Sampled], scale: Normalize, n: int) -> None:
    x, y = evidence["C_W"].values, evidence["C_b"].values
    for axes, values in zip(row, (evidence["log_evidence"], _next(evidence, n)), strict=True):
        colours = np.ma.masked_invalid(values.transpose("C_b", "C_W").values)
        axes.pcolormesh(_edges(x), _edges(y), colours, norm=scale, cmap="viridis", rasterized=True)
        axes.set_facecolor("0.8")
        _mark_critical(axes, evidence)
    _hatch(row[1], evidence, n)
    for one in sampled:
        value = float(one.posterior["log_evidence"].sel(width=n)) if n in one.posterior["width"] else np.nan
        row[1].scatter(
            one.C_W, one.C_b, c=[value], norm=scale, cmap="viridis", s=90, edgecolors="white", clip_on=False, zorder=4
        )
    row[0].set_ylabel(f"depth $L = {int(evidence['depth'])}$\n$C_b$")


def _edges(centres: Array) -> Array:
    """Edges of cells about their centres; a single cell is as wide as one."""
    if centres.size == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - between[0]], between, [2 * centres[-1] - between[-1]]])


def _mark_critical(axes: Axes, evidence: xr.Dataset) -> None:
    point = float(evidence["critical_C_W"]), float(evidence["critical_C_b"])
    if np.isfinite(point).all():
        axes.plot(*point, "*", color=THEORY, mec="white", mew=0.5, ms=9, clip_on=False, zorder=5)


def _hatch(axes: Axes, evidence: xr.Dataset, n: int) -> None:
    """Where order 1/n is impossible, or no small correction."""
    doubtful = (evidence["impossible_width"] > n) | (abs(evidence["log_evidence1"]) / n > _LARGE)
    x, y = _edges(evidence["C_W"].values), _edges(evidence["C_b"].values)
    for row, column in np.argwhere(doubtful.transpose("C_b", "C_W").values):
        corner, size = (x[column], y[row]), (x[column + 1] - x[column], y[row + 1] - y[row])
        axes.add_patch(Rectangle(corner, *size, fill=False, hatch="////", edgecolor="white", lw=0.0))


def _draw_over_depth(axes: Axes, sampled: list[Sampled]) -> None:
    """Every sampled initialization over depth: infinite width, order 1/n, and exactly."""
    colors = width_colors({n for one in sampled for n in one.posterior["width"].values.tolist()})
    scales = dict.fromkeys((one.C_b, one.C_W) for one in sampled)
    for style, scale in zip(("o", "s", "^", "D") * len(scales), scales, strict=False):
        line = sorted((one for one in sampled if (one.C_b, one.C_W) == scale), key=lambda one: one.depth)
        depth = [one.depth for one in line]
        leading = [float(one.theory["log_evidence"]) for one in line]
        axes.plot(depth, leading, "-", marker="_", color=THEORY, ms=8)
        for n, color in colors.items():
            _draw_width(axes, line, n, color, style)
        axes.annotate(
            f"$C_b={scale[0]:.3g}$, $C_W={scale[1]:.3g}$",
            (depth[-1], leading[-1]),
            (3, 3),
            fontsize=6,
            textcoords="offset points",
        )
    axes.plot([], [], "-", marker="_", color=THEORY, label="infinite width")
    axes.plot([], [], "--", marker="x", color="0.4", label="order $1/n$")
    for n, color in colors.items():
        axes.plot([], [], "o", color=color, label=f"sampled, $n={n}$")
    axes.set(xlabel="depth $L$", ylabel=r"$\log p(y)$")
    axes.set_xticks(sorted({one.depth for one in sampled}))
    axes.margins(x=0.35)
    axes.legend(loc="best", fontsize=6)


def _draw_width(axes: Axes, line: list[Sampled], n: int, color: str, style: str) -> None:
    here = [one for one in line if n in one.posterior["width"]]
    depth = [one.depth for one in here]
    following = [float(_next(one.theory, n)) for one in here]
    exact, error = (
        [float(one.posterior[name].sel(width=n)) for one in here] for name in ("log_evidence", "log_evidence_stderr")
    )
    axes.plot(depth, following, "--", marker="x", color=color, lw=0.8)
    axes.errorbar(depth, exact, error, fmt=style, color=color)
