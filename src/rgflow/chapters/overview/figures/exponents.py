"""Depth exponents of the dimensionless ratios: ensembles of every width against the same fit to theory."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.comparison.summary import with_error
from rgflow.figures.laws import SYMBOLS
from rgflow.figures.style import THEORY, new_figure, styled, width_colors


@styled
def draw(exponents: Mapping[str, xr.Dataset]) -> Figure:
    """Draw a row per activation and ratio: fitted exponent per width and of theory, the asymptotic value 1; a table.

    Parameters
    ----------
    exponents : mapping
        Cell label to the result of :func:`rgflow.comparison.exponents.depth_exponents`.
    """
    rows = [(label, one.sel(ratio=ratio)) for label, one in exponents.items() for ratio in _known(one)]
    widths = rows[0][1]["width"].values
    figure = new_figure(height=0.9 + 0.24 * len(rows))
    axes, table = figure.subplots(1, 2, sharey=True, width_ratios=(1.2, 0.32 * (1 + len(widths))))
    axes.axvline(1, color="0.6", ls=":", lw=0.8)
    for y, (_, row) in enumerate(rows):
        _draw_row(axes, y, row)
        _write_row(table, y, row)
    axes.set_yticks(range(len(rows)), [f"{label}  {SYMBOLS[row['ratio'].item()]}" for label, row in rows])
    axes.set(xlabel=r"exponent in $\ell-1$", ylim=(len(rows) - 0.4, -1.2))
    table.set_axis_off()
    table.set_xlim(0, 1 + len(widths))
    _write(table, 0, -0.9, "theory", THEORY)
    for column, (n, color) in enumerate(width_colors(widths).items(), start=1):
        _write(table, column, -0.9, f"$n={n}$", color)
    return figure


def _known(one: xr.Dataset) -> list[str]:
    """Ratios that keep their sign in theory, so that they have an exponent."""
    return [
        str(ratio) for ratio in one["ratio"].values if one["depth_exponent_theory"].sel(ratio=ratio).notnull().all()
    ]


def _draw_row(axes: Axes, y: int, row: xr.Dataset) -> None:
    theory = float(row["depth_exponent_theory"].isel(width=-1))
    axes.plot([theory, theory], [y - 0.35, y + 0.35], color=THEORY, lw=1.4)
    offsets = np.linspace(-0.2, 0.2, row.sizes["width"])
    for offset, (n, color) in zip(offsets, width_colors(row["width"].values).items(), strict=True):
        one = row.sel(width=n)
        axes.errorbar(one["depth_exponent"], y + offset, xerr=one["depth_exponent_stderr"], fmt="o", color=color)


def _write_row(table: Axes, y: int, row: xr.Dataset) -> None:
    _write(table, 0, y, f"{float(row['depth_exponent_theory'].isel(width=-1)):.3f}", THEORY)
    for column, n in enumerate(row["width"].values, start=1):
        one = row.sel(width=n)
        _write(table, column, y, with_error(float(one["depth_exponent"]), float(one["depth_exponent_stderr"])), THEORY)


def _write(table: Axes, column: int, y: float, text: str, color: str) -> None:
    table.text(column, y, text, va="center", fontsize=7, color=color)
