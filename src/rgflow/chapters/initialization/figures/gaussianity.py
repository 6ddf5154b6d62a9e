"""How Gaussian and how independent neurons are: distribution and excess kurtosis of single ones, correlation of two."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import THEORY, layer_axis, mark_panel, new_figure, outer_legend, styled, width_colors

_REACH = 5.0


@styled
def draw(theory: xr.Dataset, ensembles: xr.Dataset) -> Figure:
    """Draw (a) the density of z / sqrt(E z^2) at the last layer, (b) its excess kurtosis against depth with 3 V / (n K^2),
    and (c), where two neurons are kept, the correlation of their squares with V / (n K^2).

    Parameters
    ----------
    theory : xr.Dataset
        ``K``, ``V`` of :func:`rgflow.theory.initialization.tensors.initialization_theory`.
    ensembles : xr.Dataset
        ``preactivation`` (width, member, layer, output_1, sample_1) of the first members; input 0 is shown.
    """
    z = ensembles["preactivation"].isel(sample_1=0).transpose("width", "layer", "member", "output_1")
    figure = new_figure(height=2.6)
    pairs = z.sizes["output_1"] > 1
    panels = figure.subplots(1, 3 if pairs else 2)
    _draw_density(panels[0], z.isel(layer=-1))
    _draw_against_depth(panels[1], z, 3 * _relative_vertex(theory), excess_kurtosis)
    panels[1].set_title("excess kurtosis, $3V/(nK^2)$")
    if pairs:
        _draw_against_depth(panels[2], z, _relative_vertex(theory), correlation_of_squares)
        panels[2].set_title("correlation of squares, $V/(nK^2)$")
    for axes, letter in zip(panels, "abc", strict=False):
        mark_panel(axes, letter)
    outer_legend(figure, panels[0], columns=z.sizes["width"] + 1)
    return figure


def _relative_vertex(theory: xr.Dataset) -> xr.DataArray:
    """V / K^2 of input 0 against depth."""
    legs = {f"sample_{leg}": 0 for leg in range(1, 5)}
    return theory["V"].isel(legs) / theory["K"].isel(sample_1=0, sample_2=0) ** 2


def excess_kurtosis(z: np.ndarray) -> tuple[float, float]:
    """Return E z^4 / (E z^2)^2 - 3 of zero-mean draws (member, neuron), and its standard error by linear propagation.

    Neurons of one member are correlated; members are independent.
    """
    square = z**2
    variance, fourth = square.mean(), (square**2).mean()
    influence = square**2 / variance**2 - 2 * fourth * square / variance**3
    return float(fourth / variance**2 - 3), float(influence.mean(axis=1).std(ddof=1) / np.sqrt(len(z)))


def correlation_of_squares(z: np.ndarray) -> tuple[float, float]:
    """Return E[z_1^2 z_2^2] / (E z^2)^2 - 1 of zero-mean draws (member, neuron) of two neurons, and its standard error."""
    square = z**2
    product, variance = square.prod(axis=1), square.mean()
    influence = product / variance**2 - 2 * product.mean() * square.mean(axis=1) / variance**3
    return float(product.mean() / variance**2 - 1), float(influence.std(ddof=1) / np.sqrt(len(z)))


def _draw_density(axes: Axes, z: xr.DataArray) -> None:
    edges = np.linspace(-_REACH, _REACH, 51)
    for n, color in width_colors(z["width"].values).items():
        values = z.sel(width=n).values.ravel()
        axes.hist(values / values.std(), edges.tolist(), density=True, histtype="step", color=color, label=f"$n={n}$")
    fine = np.linspace(-_REACH, _REACH, 200)
    axes.plot(fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), color=THEORY, lw=0.8, label="Gaussian")
    lowest = 0.5 / (values.size * (edges[1] - edges[0]))  # half a draw in one bin
    axes.set(yscale="log", xlabel=r"$z/\sqrt{\mathrm{E}\,z^2}$", ylabel="density", xlim=(-_REACH, _REACH))
    axes.set_title(rf"one neuron, layer $\ell={int(z['layer'])}$")
    axes.set_ylim(bottom=lowest)


def _draw_against_depth(
    axes: Axes, z: xr.DataArray, vertex: xr.DataArray, estimate: Callable[[np.ndarray], tuple[float, float]]
) -> None:
    """Estimates from the kept members of every width on lines ``vertex`` / n."""
    for n, color in width_colors(z["width"].values).items():
        axes.plot(z["layer"], vertex.sel(layer=z["layer"]) / n, color=color)
        value, stderr = zip(*(estimate(z.sel(width=n, layer=layer).values) for layer in z["layer"]), strict=True)
        axes.errorbar(z["layer"], value, stderr, fmt="o", color=color)
    layer_axis(axes)
