"""What the last hidden layer learns: the change of its kernel at every width, beside theory and the targets."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rgflow.chapters.bayes.figures.shared import inputs_of, shown_widths
from rgflow.figures.style import FULL_WIDTH, THEORY, mark_panel, new_figure, styled, width_colors

Array = NDArray[np.float64]
_MOST_IMAGES = 12
_FEWEST_PIXELS = 16


@styled
def draw(theory: xr.Dataset, posterior: xr.Dataset, inputs: xr.Dataset) -> Figure:
    """Draw y y^T, theory's coefficient of 1/n and n (E[Ghat | y] - E[Ghat]) of sampled widths on the train samples.

    The last panel has every entry of the sampled changes, with errors, against theory. Below each stands its cosine with theory
    and with y y^T, as matrices. Images stand beside and below their rows and columns, if the inputs are images.

    Parameters
    ----------
    theory, posterior, inputs : xr.Dataset
        Results of ``theory/bayes``, ``bayes/combine`` on ``width``, and ``inputs``.
    """
    train, _ = inputs_of(theory, inputs)
    count, widths = train.sizes["sample"], shown_widths(posterior)[:3]
    y = train["y"].values @ train["y"].values.T
    expected = theory["hidden_kernel1_learned"].values[:count, :count]
    changes = {n: _change(posterior, n, count) for n in widths}
    matrices = {"$y y^T$": y, "theory, $n\\to\\infty$": expected, **{f"$n={n}$": changes[n][0] for n in widths}}
    figure = new_figure(height=1.9, width=FULL_WIDTH * (len(matrices) + 1.4) / 6.0)
    panels = figure.subplots(1, len(matrices) + 1, width_ratios=(*(1,) * len(matrices), 1.4))
    for axes, (title, matrix), letter in zip(panels, matrices.items(), "abcdef", strict=False):
        _draw_matrix(axes, matrix, title, "" if matrix is y else _cosines(matrix, expected, y))
        _draw_inputs(axes, train)
        mark_panel(axes, letter)
    _draw_entries(panels[-1], expected, changes)
    mark_panel(panels[-1], "abcdefg"[len(matrices)])
    return figure


def _change(posterior: xr.Dataset, n: int, count: int) -> tuple[Array, Array]:
    """n times the change on the train samples, and its standard error."""
    one = posterior.sel(width=n)
    names = ("hidden_kernel_change", "hidden_kernel_change_stderr")
    values, stderr = (n * one[name].transpose("sample_1", "sample_2").values[:count, :count] for name in names)
    return values, stderr


def _cosines(matrix: Array, theory: Array, y: Array) -> str:
    to_theory, to_y = (_cosine(matrix, other) for other in (theory, y))
    with_y = rf"$\cos(yy^T) = {to_y:.2f}$"
    return with_y if matrix is theory else rf"$\cos(\mathrm{{theory}}) = {to_theory:.2f}$" + f"\n{with_y}"


def _cosine(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.sum(a * b)) / size if size else 0.0


def _draw_matrix(axes: Axes, matrix: Array, title: str, note: str) -> None:
    """A matrix below its title, with its scale and a note underneath."""
    largest = float(np.abs(matrix).max()) or 1.0
    axes.imshow(matrix, cmap="RdBu_r", vmin=-largest, vmax=largest, interpolation="nearest")
    axes.set_title(title)
    axes.set(xticks=[], yticks=[])
    words = f"scale $\\pm {largest:.2g}$\n{note}"
    axes.annotate(
        words, (0.5, -0.2), xycoords="axes fraction", ha="center", va="top", fontsize=6, annotation_clip=False
    )


def _draw_inputs(axes: Axes, train: xr.Dataset) -> None:
    """Images along both sides, where inputs are square images and not too many."""
    x = train["x"].values
    count, features = x.shape
    if count > _MOST_IMAGES or features < _FEWEST_PIXELS or math.isqrt(features) ** 2 != features:
        axes.set(xlabel="train sample")
        return
    side, size = math.isqrt(features), 1.15 / count
    images = x.reshape(count, side, side)
    below, beside = np.concatenate(list(images), axis=1), np.concatenate(list(images), axis=0)
    for strip, place in ((below, (0.0, -size, 1.0, 1 / count)), (beside, (-size, 0.0, 1 / count, 1.0))):
        inset = axes.inset_axes(place)
        inset.imshow(strip, cmap="Greys", interpolation="nearest", aspect="auto")
        inset.set(xticks=[], yticks=[])
        inset.spines[:].set_visible(False)


def _draw_entries(axes: Axes, expected: Array, changes: dict[int, tuple[Array, Array]]) -> None:
    upper = np.triu_indices(len(expected))
    for n, color in width_colors(changes).items():
        values, stderr = (matrix[upper] for matrix in changes[n])
        axes.errorbar(expected[upper], values, stderr, fmt="o", color=color, ms=2, elinewidth=0.6, label=f"$n={n}$")
    ends = np.array([expected.min(), expected.max()])
    axes.plot(ends, ends, color=THEORY, zorder=0)
    axes.set(xlabel="theory", ylabel=r"$n\,\Delta\hat{G}$, sampled")
    axes.legend(loc="best", fontsize=6)
