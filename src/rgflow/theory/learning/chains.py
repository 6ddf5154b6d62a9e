"""Nested sums over steps as entries of bidiagonal matrices, for all combinations of modes at once.

A sum over ordered steps such as sum_{r < tau < t} w_3^(t-1-tau) w_2^(tau-1-r) w_1^r is the complete homogeneous symmetric
polynomial h_{t-m+1}(w_1, ..., w_m) with m = 3, and that is the corner entry (J^t)_{1m} of the bidiagonal m x m matrix J with
diagonal w and ones above it. Powers of J neither subtract nor divide, so equal or nearly equal w do no harm, where the
textbook quotients of differences of powers lose all digits. Gradient flow needs (e^(tJ))_{1m} in their place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rgflow.theory.initialization.contraction import Array

_TAYLOR_TERMS = 20  # exponents of at most 1/2, so the first term left out is below 1e-24
_LARGEST_EXPONENT = 0.5

MatrixRow = tuple[Array, ...]
Propagation = Callable[["Triangular"], Callable[[MatrixRow, Any], MatrixRow]]


@dataclass(frozen=True)
class Triangular:
    """A family of upper triangular matrices, rows[i][j - i] the entry (i, j) as an array over the family.

    Entries broadcast against each other, so one that depends on few modes stays small.
    """

    rows: tuple[MatrixRow, ...]

    @classmethod
    def bidiagonal(cls, diagonal: Sequence[Array]) -> Triangular:
        """The matrices with this diagonal and ones above it."""
        m = len(diagonal)
        zero, one = np.zeros(()), np.ones(())
        return cls(tuple((w, one, *(zero,) * m)[: m - i] for i, w in enumerate(diagonal)))

    def __matmul__(self, other: Triangular) -> Triangular:
        return Triangular(tuple(times(row, Triangular(other.rows[i:])) for i, row in enumerate(self.rows)))

    def plus_identity(self) -> Triangular:
        """Add 1 to every diagonal entry."""
        return Triangular(tuple((row[0] + 1.0, *row[1:]) for row in self.rows))

    def scaled(self, factor: float) -> Triangular:
        """Multiply every entry."""
        return Triangular(tuple(tuple(factor * entry for entry in row) for row in self.rows))


def times(row: MatrixRow, matrix: Triangular) -> MatrixRow:
    """A row vector times upper triangular matrices."""
    return tuple(sum((row[k] * matrix.rows[k][j - k] for k in range(j + 1)), np.zeros(())) for j in range(len(row)))


def matrix_powers(J: Triangular) -> Callable[[MatrixRow, int], MatrixRow]:
    """Return the map (row, t) -> row J^t for whole numbers t, by squares of J that are kept for the next call."""
    squares = [J]

    def advance(row: MatrixRow, steps: int) -> MatrixRow:
        for digit in range(steps.bit_length()):
            if digit == len(squares):
                squares.append(squares[-1] @ squares[-1])
            if steps >> digit & 1:
                row = times(row, squares[digit])
        return row

    return advance


def exponentials(J: Triangular) -> Callable[[MatrixRow, float], MatrixRow]:
    """Return the map (row, t) -> row e^(tJ) for t >= 0 and a diagonal of J that is nowhere positive."""
    fastest = max(float(np.abs(row[0]).max()) for row in J.rows)

    def advance(row: MatrixRow, time: float) -> MatrixRow:
        halvings = max(0, math.ceil(math.log2(max(time * fastest / _LARGEST_EXPONENT, 1.0))))
        step = _taylor(J.scaled(time / 2**halvings))
        for _ in range(halvings):
            step = step @ step
        return times(row, step)

    return advance


def _taylor(J: Triangular) -> Triangular:
    """e^J = 1 + J (1 + J/2 (1 + J/3 (...)))."""
    total = J.scaled(1.0 / _TAYLOR_TERMS).plus_identity()
    for order in range(_TAYLOR_TERMS - 1, 0, -1):
        total = (J.scaled(1.0 / order) @ total).plus_identity()
    return total


def corners(diagonal: Sequence[Array], times_of_record: Sequence[float], propagate: Propagation) -> Iterator[Array]:
    """Corner entries (1, m) of J^t or e^(tJ) at increasing times t, each got from the one before it.

    Parameters
    ----------
    diagonal
        w_1, ..., w_m, arrays that broadcast.
    times_of_record
        Times, or numbers of steps, that do not decrease.
    propagate
        ``powers`` or ``exponentials``.
    """
    advance = propagate(Triangular.bidiagonal(diagonal))
    row: MatrixRow = (np.ones(()), *(np.zeros(()),) * (len(diagonal) - 1))
    for earlier, later in pairwise((0, *times_of_record)):
        row = advance(row, later - earlier)
        yield row[-1]
