"""The 1797 handwritten digits of 8 x 8 pixels that ship with scikit-learn."""

from __future__ import annotations

import numpy as np

from rgflow.data.source import InputsAndTargets, Selection, Source


def _read(_selection: Selection) -> InputsAndTargets:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return np.asarray(x, float), np.asarray(y, int)


SOURCE = Source("handwritten digits of 8x8 pixels, of scikit-learn", _read)
