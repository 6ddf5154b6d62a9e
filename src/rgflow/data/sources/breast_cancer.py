"""30 measurements of 569 tumours that ship with scikit-learn, malignant (0) or benign (1)."""

from __future__ import annotations

import numpy as np

from rgflow.data.source import InputsAndTargets, Selection, Source


def _read(_selection: Selection) -> InputsAndTargets:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return np.asarray(x, float), np.asarray(y, int)


SOURCE = Source("measurements of tumours, of scikit-learn", _read)
