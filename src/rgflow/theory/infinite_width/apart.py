"""How far two inputs are apart, carried from layer to layer beside their kernel.

Of a kernel close to sqrt(K_aa K_bb) the digits that matter are lost: relu's derivatives depend on the angle between two
inputs, whose rounding error is the square root of that of the correlation. So 1 - |correlation| is a number of its own
here. It starts from differences of inputs and goes on by sums of terms that are not negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[Any]

_NEAR = 0.02  # 1 - |correlation| below which differences of inputs tell more digits than their products


class KernelTerm(NamedTuple):
    """One term of a kernel of rows and columns, M_ab with M_aa = row^2 and M_bb = col^2, in units of the whole.

    For the whole kernel X_ab = sum of terms the units are such that X_aa = X_bb = 1. ``sign`` is any number with the sign of
    M_ab, and ``apart`` is 1 - |M_ab| / (row col).
    """

    row: Block
    col: Block
    sign: Block | float
    apart: Block | float


def apart_of_sum(parts: Sequence[KernelTerm], correlation: Block) -> Block:
    """1 - |correlation| of a sum of kernels, whose own correlation is known to rounding.

    1 - correlation^2 is the determinant of the sum. It adds up the determinants M_aa M_bb (1 - r^2) of the parts and for two
    parts (M_aa M'_bb - ...)= (row col' - row' col)^2 + 2 row col row' col' (1 - r r').
    """
    sine_squared = sum((part.row * part.col) ** 2 * (part.apart * (2.0 - part.apart)) for part in parts)
    for one, two in combinations(parts, 2):
        left, right = one.row * two.col, two.row * one.col
        sine_squared += (left - right) ** 2 + 2.0 * left * right * _apart_of_product(one, two)
    return np.asarray(sine_squared / (1.0 + np.abs(correlation)))


def _apart_of_product(one: KernelTerm, two: KernelTerm) -> Block:
    """1 - r r' of two correlations."""
    size_apart = one.apart + two.apart - one.apart * two.apart
    return np.where(np.multiply(one.sign, two.sign) >= 0.0, size_apart, 2.0 - size_apart)


def correlation_of(c: Block, left: Block, right: Block) -> Block:
    """K_ab / sqrt(K_aa K_bb) in [-1, 1] from K_ab and standard deviations; where one of these vanishes it is 0."""
    rho = c * _inverse(left)[:, None]
    rho *= _inverse(right)
    np.clip(rho, -1.0, 1.0, out=rho)
    return rho


def apart_of(c: Block, left: Block, right: Block) -> Block:
    """1 - |correlation|, as well as K_ab tells."""
    apart = np.abs(c)
    apart *= -_inverse(left)[:, None]
    apart *= _inverse(right)
    apart += 1.0
    np.maximum(apart, 0.0, out=apart)
    return apart


def _inverse(deviation: Block) -> Block:
    return np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0.0)


def apart_of_vectors(rows: Block, cols: Block, left: Block, right: Block, correlation: Block) -> Block:
    """1 - |cos| of the angles between vectors (n, features), (m, features) of lengths left, right with these cosines.

    Where they nearly coincide, or are nearly opposite, it is |u -+ v|^2 / 2 of the unit vectors.
    """
    apart: Block = 1.0 - np.abs(correlation)
    near = apart < _NEAR
    for a in np.flatnonzero(near.any(axis=1)):
        b = np.flatnonzero(near[a])
        difference = rows[a] / left[a] - cols[b] / np.copysign(right[b], correlation[a, b])[:, None]
        apart[a, b] = np.einsum("bi,bi->b", difference, difference) / 2.0
    return apart
