"""Depth exponents of the dimensionless ratios: ensembles of every width against the same fit to theory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.comparison.summary import with_error
from rgflow.figures.style import THEORY, new_figure, styled, width_colors

_SYMBOLS = {
    "V/K^2": r"$V/K^2$",
    "D/(K Theta)": r"$D/(K\Theta)$",
    "F/(K Theta)": r"$F/(K\Theta)$",
    "A/Theta^2": r"$A/\Theta^2$",
    "B/Theta^2": r"$B/\Theta^2$",
}


@styled
def draw(exponents: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a row per activation and ratio: fitted exponent per width and of theory, the asymptotic value 1; a table.

    Parameters
    ----------
    exponents : mapping
        Cell label to the result of :func:`rgflow.comparison.exponents.depth_exponents`.
    """
    rows = [(label, one.sel(ratio=ratio)) for label, one in exponents.items() for ratio in one["ratio"].values]
    widths = rows[0][1]["width"].values
    figure = new_figure(height=0.9 + 0.24 * len(rows))
    axes = figure.subplots()
    axes.axvline(1, color="0.6", ls=":", lw=0.8)
    for y, (_, row) in enumerate(rows):
        _draw_row(axes, y, row, widths)
    axes.set_yticks(range(len(rows)), [f"{label}  {_SYMBOLS[row['ratio'].item()]}" for label, row in rows])
    axes.set(xlabel=r"exponent in $\ell-1$", ylim=(len(rows) - 0.4, -1.2))
    _draw_header(axes, widths)
    return figure


def _draw_row(axes: Axes, y: int, row: xr.Dataset, widths: np.ndarray) -> None:
    theory = float(row["exponent_theory"].isel(width=-1))
    axes.plot([theory, theory], [y - 0.35, y + 0.35], color=THEORY, lw=1.4)
    for column, (n, color) in enumerate(width_colors(widths).items()):
        value, stderr = (float(row[name].sel(width=n)) for name in ("exponent", "exponent_stderr"))
        axes.errorbar(value, y + 0.16 * (column - (len(widths) - 1) / 2), xerr=stderr, fmt="o", color=color)
        _cell(axes, 1.16 + 0.14 * column, y, with_error(value, stderr))
    _cell(axes, 1.02, y, f"{theory:.3f}")


def _draw_header(axes: Axes, widths: np.ndarray) -> None:
    _cell(axes, 1.02, -0.9, "theory", weight="bold")
    for column, (n, color) in enumerate(width_colors(widths).items()):
        _cell(axes, 1.16 + 0.14 * column, -0.9, f"$n={n}$", weight="bold", color=color)


def _cell(axes: Axes, x: float, y: float, text: str, **font: Any) -> None:
    axes.annotate(
        text, (x, y), xycoords=("axes fraction", "data"), va="center", fontsize=7, annotation_clip=False, **font
    )
