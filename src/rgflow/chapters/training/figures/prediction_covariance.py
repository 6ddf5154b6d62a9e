"""Covariance of the final predictions on pairs of test inputs: infinite width, what ensembles have beyond it, and order 1/n."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from rgflow.chapters.training.figures.deviation import deviation, has_next_order, next_order_of
from rgflow.figures.style import mark_panel, new_figure, styled

Matrix = NDArray[np.float64]


@styled
def draw(theory: xr.Dataset, trained: xr.Dataset) -> Figure:
    """Draw matrices over test inputs at the last recorded step, the same scale for all but the first.

    Parameters
    ----------
    theory, trained : xr.Dataset
        As for :func:`rgflow.chapters.training.figures.training_curves.draw`; the widest networks are shown.
    """
    width = int(trained["width"].max())
    test = np.flatnonzero(theory["role"].values == "test")
    leading = _last(theory["prediction_covariance"], test)
    beyond = width * _last(deviation(theory, trained, "prediction_covariance", width)[0], test)
    matrices = {
        r"theory, $n=\infty$": leading,
        f"beyond, $n={width}$": beyond,
    }
    if has_next_order(theory):
        expected = _last(next_order_of(theory, "prediction_covariance")[0], test)
        matrices |= {"theory, order $1/n$": expected, "what is left": beyond - expected}
    figure = new_figure(height=2.8, width=1.2 + 1.6 * len(matrices))
    panels = figure.subplots(1, len(matrices), squeeze=False)[0]
    scales = [abs(leading).max(), *[max(abs(matrix).max() for matrix in list(matrices.values())[1:])] * 3]
    images = [
        _draw_matrix(axes, title, matrix, scale)
        for axes, (title, matrix), scale in zip(panels, matrices.items(), scales, strict=False)
    ]
    for axes, letter in zip(panels, "abcd", strict=False):
        mark_panel(axes, letter)
    beyond_label = r"$n\,(\mathrm{Cov}\,z - \mathrm{Cov}\,z|_{n=\infty})$"
    figure.colorbar(images[0], ax=panels[0], orientation="horizontal", shrink=0.9, label=r"$\mathrm{Cov}\,z$")
    figure.colorbar(images[1], ax=panels[1:], orientation="horizontal", shrink=0.6, label=beyond_label)
    return figure


def _last(covariance: xr.DataArray, samples: NDArray[np.intp]) -> Matrix:
    return np.asarray(covariance.isel(step=-1, sample_1=samples, sample_2=samples).values, dtype=np.float64)


def _draw_matrix(axes: Axes, title: str, matrix: Matrix, scale: float) -> AxesImage:
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("test input")
    return axes.imshow(matrix, cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest")
