"""Dimensionless finite-width tensors of one input against depth at criticality: linear in depth in every class but one."""

from __future__ import annotations

from collections.abc import Mapping

import xarray as xr
from matplotlib.figure import Figure

from rgflow.figures.laws import SYMBOLS, draw_laws, legend_of_laws, no_laws, with_laws
from rgflow.figures.style import mark_panel, new_figure, styled

_RATIOS = ("V/K^2", "D/(K Theta)", "F/(K Theta)", "G1/K", "A/Theta^2", "B/Theta^2")


@styled
def draw(phases: Mapping[str, xr.Dataset]) -> Figure:
    """Draw the size of V/K^2, D/(K Theta), F/(K Theta), G1/K, A/Theta^2 and B/Theta^2 against depth.

    Points are the recursion, filled where it is positive and open where it is negative; dashed, the predicted asymptotes.

    Parameters
    ----------
    phases : mapping
        As for :func:`rgflow.chapters.criticality.figures.kernel_flow.draw`.
    """
    laws = with_laws(phases)
    if not laws:
        return no_laws()
    figure = new_figure(height=4.2)
    panels = figure.subplots(2, 3, sharex=True)
    for axes, ratio, letter in zip(panels.flat, _RATIOS, "abcdef", strict=True):
        draw_laws(axes, laws, ratio)
        axes.set(ylabel=f"|{SYMBOLS[ratio]}|")
        mark_panel(axes, letter)
    for axes in panels[-1]:
        axes.set_xlabel(r"layer $\ell$")
    legend_of_laws(figure, panels[0, 0], laws)
    return figure
