"""One restrained style: theory in black lines, experiment as points with error bars, wider networks darker."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from rgflow.errors import RgflowError

P = ParamSpec("P")

FULL_WIDTH = 7.0
"""Width of a two-column figure in inches."""

THEORY = "black"
BAND = "0.90"

CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe-Ito colours for activations and other unordered labels; readable with any colour vision."""

MARKERS = ("o", "s", "^", "D", "v", "P")

RC: dict[str, Any] = {
    "font.size": 8.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "mathtext.fontset": "dejavusans",
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.0,
    "errorbar.capsize": 0.0,
    "savefig.dpi": 200.0,
    "svg.fonttype": "path",
    "svg.hashsalt": "rgflow",
    "figure.constrained_layout.w_pad": 0.05,
}

_FORMATS = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def _style() -> AbstractContextManager[None]:
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **RC}
    return rc_context({name: value for name, value in settings.items() if name != "backend"})


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function in the common style, whatever the user's own settings."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return in_style


def new_figure(height: float, width: float = FULL_WIDTH) -> Figure:
    """Return an empty figure with constrained layout; sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture; the same figure gives the same bytes (no dates, fixed identifiers).

    Raises
    ------
    RgflowError
        If the suffix is none of .png, .svg, .pdf.
    """
    if path.suffix not in _FORMATS:
        raise RgflowError(f"{path}: figures are written as {', '.join(_FORMATS)}")
    with _style():
        figure.savefig(path, metadata=_FORMATS[path.suffix])


def width_colors(widths: Iterable[int]) -> dict[int, str]:
    """Return a colour for every width, from light (narrow) to dark (wide, near the black of the theory)."""
    ordered = sorted(int(n) for n in widths)
    shades = np.linspace(0.78, 0.18, max(len(ordered), 2))[: len(ordered)]
    return {n: to_hex(colormaps["viridis"](shade)) for n, shade in zip(ordered, shades, strict=True)}


def category_colors(labels: Iterable[str]) -> dict[str, str]:
    """Return a colour for every label, in the given order; colours repeat after six."""
    return {label: CATEGORIES[i % len(CATEGORIES)] for i, label in enumerate(labels)}


def mark_panel(axes: Axes, letter: str) -> None:
    """Write a bold panel letter above the upper left corner."""
    axes.annotate(
        letter, (0, 1), (-4, 4), xycoords="axes fraction", textcoords="offset points", weight="bold", ha="right"
    )


def layer_axis(axes: Axes) -> None:
    """Label the horizontal axis as depth, ticks at whole layers."""
    axes.set_xlabel(r"layer $\ell$")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def step_axis(axes: Axes, last: int) -> None:
    """Make the horizontal axis the number of gradient steps: linear to 1, so that step 0 is shown, then logarithmic."""
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.4)
    axes.set_xlim(-0.15, last * 1.3)
    decades = int(np.log10(max(last, 1)))
    axes.set_xticks([0, *(10**k for k in range(decades + 1))])
    axes.set_xlabel("gradient step")


def plain_log_axis(axes: Axes) -> None:
    """Make the vertical axis logarithmic with the plain numbers 1, 2, 5 of every decade, for less than about two decades."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def z_band(axes: Axes, orientation: str = "horizontal") -> None:
    """Shade |z| < 2 and draw the line z = 0."""
    span, line = (axes.axhspan, axes.axhline) if orientation == "horizontal" else (axes.axvspan, axes.axvline)
    span(-2, 2, color=BAND, lw=0, zorder=0)
    line(0, color=THEORY, lw=0.6, zorder=1)


def outer_legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend of one panel above the whole figure."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
