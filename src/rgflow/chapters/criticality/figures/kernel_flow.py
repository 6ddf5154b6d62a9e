"""Flow of the kernel with depth at criticality: its size, and differences of nearby inputs, in each universality class."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from rgflow.figures.laws import SYMBOLS, draw_laws, legend_of_laws, no_laws, with_laws
from rgflow.figures.style import mark_panel, new_figure, styled

_TITLES = {"K": "kernel", "K1": "difference in norm", "K2": "difference in angle"}


@styled
def draw(phases: Mapping[str, xr.Dataset]) -> Figure:
    """Draw K, K[1] and K[2] (in units of layer 1) against depth: points from the recursion, predicted laws dashed.

    Parameters
    ----------
    phases : mapping
        Activation label to the stored criticality of an activation, with `flow` and `flow_predicted` on (quantity, layer)
        where it has power laws; see :func:`rgflow.theory.depth.exponents.exponent_table`.
    """
    laws = with_laws(phases)
    if not laws:
        return no_laws()
    figure = new_figure(height=2.5)
    panels = figure.subplots(1, 3)
    for axes, (quantity, title), letter in zip(panels, _TITLES.items(), "abc", strict=True):
        draw_laws(axes, laws, quantity)
        axes.set(xlabel=r"layer $\ell$", ylabel=SYMBOLS[quantity], title=title)
        mark_panel(axes, letter)
    legend_of_laws(figure, panels[0], laws)
    return figure
