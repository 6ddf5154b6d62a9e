"""Pictures of the inputs, where they are square images."""

from __future__ import annotations

import math

import xarray as xr
from matplotlib.figure import Figure

from rgflow.figures.image import draw_image
from rgflow.figures.style import FULL_WIDTH, new_figure, styled

_PER_ROW = 12
_MOST = 4 * _PER_ROW


@styled
def draw(inputs: xr.Dataset) -> Figure:
    """Draw inputs as small pictures, train inputs first, the first 48 if there are more; probes of theory are framed.

    Inputs that are not square images are drawn as one strip of features each.

    Parameters
    ----------
    inputs : xr.Dataset
        ``x`` (sample, feature) and ``probe`` (sample) with the coordinates ``role`` and, for classes, ``label``.
    """
    shown = min(_MOST, inputs.sizes["sample"])
    columns = min(_PER_ROW, shown)
    rows = math.ceil(shown / columns)
    figure = new_figure(height=0.1 + 0.72 * rows, width=FULL_WIDTH * columns / _PER_ROW)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, sample in zip(panels, range(shown), strict=False):
        one = inputs.isel(sample=sample)
        draw_image(axes, one["x"].values)
        label = f" {one['label'].item()}" if "label" in inputs.coords else ""
        axes.set_title(f"{one['role'].item()}{label}", fontsize=6, pad=2)
        if one["probe"]:
            axes.spines[:].set(visible=True, color="#D55E00", linewidth=1.5)
    for axes in panels[shown:]:
        axes.set_axis_off()
    return figure
