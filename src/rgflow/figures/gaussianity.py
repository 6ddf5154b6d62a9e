"""How Gaussian neurons are: distribution of single preactivations and its excess kurtosis against width."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rgflow.figures.style import THEORY, mark_panel, new_figure, styled, width_colors

_REACH = 5.0


@styled
def draw(theory: xr.Dataset, ensembles: xr.Dataset) -> Figure:
    """Draw (a) the density of z / sqrt(E z^2) at the last layer, (b) its excess kurtosis against depth
    with 3 V / (n K^2).

    Parameters
    ----------
    theory : xr.Dataset
        ``K``, ``V`` of :func:`rgflow.theory.initialization.initialization_theory`.
    ensembles : xr.Dataset
        ``preactivation`` (width, member, layer, output_1, sample_1) of the first members; input 0 is shown.
    """
    z = ensembles["preactivation"].isel(sample_1=0).transpose("width", "layer", "member", "output_1")
    figure = new_figure(height=2.6)
    density, kurtosis = figure.subplots(1, 2)
    _draw_density(density, z.isel(layer=-1))
    _draw_kurtosis(kurtosis, z, theory)
    for axes, letter in zip((density, kurtosis), "ab", strict=True):
        mark_panel(axes, letter)
    return figure


def excess_kurtosis(z: np.ndarray) -> tuple[float, float]:
    """Return E z^4 / (E z^2)^2 - 3 of zero-mean draws (member, neuron), and its standard error by linear propagation.

    Neurons of one member are correlated; members are independent.
    """
    square = z**2
    variance, fourth = square.mean(), (square**2).mean()
    influence = square**2 / variance**2 - 2 * fourth * square / variance**3
    return float(fourth / variance**2 - 3), float(influence.mean(axis=1).std(ddof=1) / np.sqrt(len(z)))


def _draw_density(axes: Axes, z: xr.DataArray) -> None:
    edges = np.linspace(-_REACH, _REACH, 51)
    for n, color in width_colors(z["width"].values).items():
        values = z.sel(width=n).values.ravel()
        axes.hist(values / values.std(), edges.tolist(), density=True, histtype="step", color=color, label=f"$n={n}$")
    fine = np.linspace(-_REACH, _REACH, 200)
    axes.plot(fine, np.exp(-(fine**2) / 2) / np.sqrt(2 * np.pi), color=THEORY, lw=0.8, label="Gaussian")
    lowest = 0.5 / (values.size * (edges[1] - edges[0]))  # half a draw in one bin
    axes.set(
        yscale="log", ylim=(lowest, 1), xlabel=r"$z/\sqrt{\mathrm{E}\,z^2}$", ylabel="density", xlim=(-_REACH, _REACH)
    )
    axes.set_title(rf"layer $\ell={int(z['layer'])}$")
    axes.legend(loc="lower center")


def _draw_kurtosis(axes: Axes, z: xr.DataArray, theory: xr.Dataset) -> None:
    legs = {f"sample_{leg}": 0 for leg in range(1, 5)}
    ratio = (theory["V"].isel(legs) / theory["K"].isel(sample_1=0, sample_2=0) ** 2).sel(layer=z["layer"])
    for n, color in width_colors(z["width"].values).items():
        axes.plot(z["layer"], 3 * ratio / n, color=color)
        value, stderr = zip(*(excess_kurtosis(z.sel(width=n, layer=layer).values) for layer in z["layer"]), strict=True)
        axes.errorbar(z["layer"], value, stderr, fmt="o", color=color)
    axes.set(xlabel=r"layer $\ell$", ylabel=r"excess kurtosis; line $3V/(nK^2)$")
