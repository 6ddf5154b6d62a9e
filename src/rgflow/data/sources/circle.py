"""Equally spaced points on the circle |x|^2 = n_0 = 2, labelled by quadrant parity."""

from __future__ import annotations

import numpy as np

from rgflow.data.source import InputsAndTargets, Selection, Source


def _draw(selection: Selection) -> InputsAndTargets:
    angle = 2 * np.pi * (np.arange(selection.count) + 0.5) / selection.count
    return np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], axis=1), (np.sin(2 * angle) > 0).astype(int)


SOURCE = Source("points on a circle", _draw, labels=(0, 1))
