"""One input as a small picture."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes


def draw_image(axes: Axes, x: np.ndarray) -> None:
    """Show one input, dark where its features are large, without axes."""
    side = math.isqrt(x.size)
    picture = x.reshape(side, side) if side**2 == x.size else x[None]
    axes.imshow(picture, cmap="Greys", interpolation="nearest", aspect="equal" if side**2 == x.size else "auto")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
