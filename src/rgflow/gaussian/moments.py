"""What an engine of Gaussian moments provides, and how products of sigma and sigma' are numbered."""

from __future__ import annotations

import math
from functools import reduce
from itertools import combinations
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import Activation

Array = NDArray[np.float64]
MAX_FACTORS = 4


class Moments(Protocol):
    """Means over N inputs no two of which are the same."""

    @property
    def error(self) -> float:
        """Largest estimated relative error of anything evaluated so far."""

    def pair(self, p: int, q: int) -> Array:
        """<sigma^(p)_a sigma^(q)_b>: (N, N)."""

    def gradient(self, p: int) -> Array:
        """Derivatives of <sigma^(p)_a sigma^(p)_b> in (K_aa, K_ab, K_bb): (N, N, 3); the sum is exact for a = b too."""

    def hessian(self, p: int) -> Array:
        """Second derivatives in the same variables: (N, N, 3, 3); the sum is exact for a = b too."""

    def products(self, d: int) -> Array:
        """<m_1(z_a) ... m_d(z_e)> for all subsets of d inputs: (subset, m_1, ..., m_d), numbered as in `product_index`."""


def subsets(n: int, d: int) -> NDArray[np.intp]:
    """All sorted choices of d of n inputs: (subset, d)."""
    return np.array(list(combinations(range(n), d)), dtype=np.intp).reshape(-1, d)


def product_index(degree: int, primes: int) -> int:
    """Position of sigma^(degree - primes) sigma'^primes among the products of degree 1, 2, ..."""
    return degree * (degree + 1) // 2 - 1 + primes


def powers(d: int) -> list[tuple[int, int]]:
    """(power of sigma, power of sigma') of the products that one of d inputs of a product of four factors may take."""
    return [(degree - primes, primes) for degree in range(1, MAX_FACTORS + 2 - d) for primes in range(degree + 1)]


def product_values(activation: Activation, z: Array, d: int) -> Array:
    """Values of the products numbered by `product_index`: (product, *z.shape)."""
    value, slope = activation.value_and_derivative(z)
    rows = degree_rows = [value, slope]
    for _ in range(MAX_FACTORS - d):
        degree_rows = [*(value * row for row in degree_rows), slope * degree_rows[-1]]
        rows = [*rows, *degree_rows]
    return np.array(rows)


def product_scales(fourth_roots: Array, d: int) -> Array:
    """Upper bounds of the products of d inputs by Hoelder's inequality, inf for products of less than four factors.

    Parameters
    ----------
    fourth_roots
        <sigma^4>^(1/4) and <sigma'^4>^(1/4) of each input, (d, 2).
    d
        Number of inputs.
    """
    choices = np.array(powers(d))
    scales = [np.prod(roots**choices, axis=1) for roots in fourth_roots]
    factors = reduce(np.add.outer, [choices.sum(axis=1)] * d)
    return np.where(factors == MAX_FACTORS, reduce(np.multiply.outer, scales), math.inf)
