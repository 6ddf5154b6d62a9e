"""10 measurements of 442 patients that ship with scikit-learn; the value, their disease's progression in a year, has zero
mean and unit variance over all."""

from __future__ import annotations

import numpy as np

from rgflow.data.source import InputsAndTargets, Selection, Source


def _read(_selection: Selection) -> InputsAndTargets:
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return np.asarray(x, float), np.asarray((y - y.mean()) / y.std(), float)[:, None]


SOURCE = Source("measurements of patients with a real value, of scikit-learn", _read)
