"""The bivariate normal density and its derivatives."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def density_derivative(S: Array, x: Array, y: Array, m: int, n: int) -> Array:
    r"""d^m/dx^m d^n/dy^n of the density of N(0, S) at (x, y), S an invertible (2, 2); x and y broadcast.

    Each derivative multiplies by a = -(L z)_1 or b = -(L z)_2, with L = S^{-1}, or acts on an earlier such factor:
    P_{m+1,n} = a P_{m,n} - m L_11 P_{m-1,n} - n L_12 P_{m,n-1}, and likewise for n.
    """
    det = S[0, 0] * S[1, 1] - S[0, 1] ** 2
    xx, xy, yy = S[1, 1] / det, -S[0, 1] / det, S[0, 0] / det
    a, b = -(xx * x + xy * y), -(xy * x + yy * y)

    def factor(m: int, n: int) -> Array:
        if m < 0 or n < 0:
            return np.zeros(())
        if m:
            terms = a * factor(m - 1, n) - (m - 1) * xx * factor(m - 2, n) - n * xy * factor(m - 1, n - 1)
        else:
            terms = b * factor(0, n - 1) - (n - 1) * yy * factor(0, n - 2) if n else np.ones(())
        return np.asarray(terms)

    density = np.exp(0.5 * (a * x + b * y)) / (2 * math.pi * math.sqrt(det))
    return np.asarray(factor(m, n) * density)
