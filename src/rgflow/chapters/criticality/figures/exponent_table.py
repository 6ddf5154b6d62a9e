"""Predicted and fitted power laws in depth of every activation, as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.laws import SYMBOLS, class_name, no_laws, with_laws
from rgflow.figures.style import THEORY, new_figure, styled

_ACROSS = 2  # tables side by side
_COLUMNS = {("exponent", "predicted"): 1.15, ("exponent", "fitted"): 1.75}
_COLUMNS |= {("coefficient", "predicted"): 2.55, ("coefficient", "fitted"): 3.25}  # right ends
_RIGHT = 3.3


@styled
def draw(phases: Mapping[str, xr.Dataset]) -> Figure:
    """Write exponent p and coefficient a of the laws a l^p, as predicted and as fitted to the recursions.

    Parameters
    ----------
    phases : mapping
        Activation label to the stored criticality of an activation, with `exponent` and `coefficient` on
        (quantity, source) where it has power laws.
    """
    laws = with_laws(phases)
    if not laws:
        return no_laws()
    rows = math.ceil(len(laws) / _ACROSS)
    figure = new_figure(height=2.35 * rows)
    panels = figure.subplots(rows, _ACROSS, squeeze=False).flat
    for axes in panels:
        axes.set_axis_off()
    for axes, (label, phase) in zip(figure.axes, laws.items(), strict=False):
        _write_table(axes, f"{label} ({class_name(phase)})", phase)
    return figure


def _write_table(axes: Axes, title: str, phase: xr.Dataset) -> None:
    quantities = [name for name in SYMBOLS if name in phase["quantity"].values]
    axes.set(xlim=(0, _RIGHT), ylim=(len(quantities) - 0.4, -3.2))
    axes.text(0, -2.6, title, weight="bold", va="center")
    axes.text(1.45, -1.65, "exponent", ha="center", va="center")
    axes.text(2.9, -1.65, "coefficient", ha="center", va="center")
    for y, width in ((-2.15, 0.8), (-0.55, 0.5), (len(quantities) - 0.45, 0.8)):
        axes.plot([0, _RIGHT], [y, y], color=THEORY, lw=width, clip_on=False)
    for (name, source), x in _COLUMNS.items():
        axes.text(x, -0.95, source, ha="right", va="center", color="0.35", fontsize=7)
        for y, quantity in enumerate(quantities):
            value = float(phase[name].sel(quantity=quantity, source=source))
            axes.text(x, y, _number(name, value, source), ha="right", va="center", fontsize=7)
    for y, quantity in enumerate(quantities):
        axes.text(0, y, SYMBOLS[quantity], va="center", fontsize=7)


def _number(name: str, value: float, source: str) -> str:
    """A value in a few digits, fitted ones with their zeros; a dash where it is open."""
    if math.isnan(value):
        return "–"
    digits = {("exponent", "fitted"): ".4f", ("coefficient", "fitted"): "#.5g"}.get((name, source), ".5g")
    rounded = round(value, 4) + 0.0 if name == "exponent" else value  # + 0.0: no negative zero
    text = f"{rounded:{digits}}" if name == "exponent" or value else "0"
    return text.removesuffix(".").replace("-", "\N{MINUS SIGN}")
