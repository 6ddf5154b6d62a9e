"""Derivatives of pair means in the covariance, by Price's theorem: d/dK_ab = (1 or 1/2) <d_a d_b ...>."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PairMean = Callable[[int, int], Array]  # (p, q) -> <sigma^(p)_a sigma^(q)_b>, any shape

_SLOTS = ((2, 0, 0.5), (1, 1, 1.0), (0, 2, 0.5))  # d/dK_aa, d/dK_ab, d/dK_bb raise orders (p, q) and weigh


def price_gradient(pair: PairMean, p: int) -> Array:
    """Derivatives of <sigma^(p)_a sigma^(p)_b> in (K_aa, K_ab, K_bb), on a new last axis."""
    return np.stack([weight * pair(p + i, p + j) for i, j, weight in _SLOTS], axis=-1)


def price_hessian(pair: PairMean, p: int) -> Array:
    """Second derivatives of <sigma^(p)_a sigma^(p)_b> in (K_aa, K_ab, K_bb), on two new last axes."""
    rows = [np.stack([v * w * pair(p + i + k, p + j + m) for k, m, w in _SLOTS], axis=-1) for i, j, v in _SLOTS]
    return np.stack(rows, axis=-2)
