"""Means over randomized quasi-Monte Carlo nodes of products of functions of two inputs.

The mean of a product of four functions is a matrix product of the products of two, the nodes summed over. A pair function
sigma^(p)_a sigma^(q)_b is symmetric for p = q, so that of N inputs N(N+1)/2 rows do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.random import SeedSequence, default_rng
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from rgflow.activations.activation import Activation, first_jump
from rgflow.errors import RgflowError
from rgflow.gaussian.moments import Array
from rgflow.gaussian.nested import eliminate

PairOrders = tuple[int, int]
WICK: PairOrders = (-1, -1)  # stands for the pair function z_a z_b - K_ab

_NODES_AT_ONCE = 1024  # a few matrices of products fit the cache, and matrix products run at full speed
_SOBOL_STEP = 2.0**-30
_MAX_ORDER = 3


class NodeSums:
    """Means of products of pair functions over one set of nodes.

    Parameters
    ----------
    activation
        The activation; nodes do not see delta functions of derivatives.
    K
        Covariance (N, N), positive semidefinite.
    count
        Number of nodes, a power of two.
    seed
        Key of the randomization.
    """

    def __init__(self, activation: Activation, K: Array, count: int, seed: SeedSequence) -> None:
        self.K, self._activation = K, activation
        self._z = correlated_nodes(K, count, seed)
        self._means: dict[tuple[PairOrders, PairOrders], Array] = {}

    def mean(self, left: PairOrders, right: PairOrders) -> Array:
        """<f g> of pair functions f = sigma^(p)_a sigma^(q)_b, (p, q) = left, and g: (pair, pair), as in `pair_numbers`."""
        if (right, left) in self._means:
            return self._means[right, left].T
        if (left, right) not in self._means:
            self._means[left, right] = self._evaluated(left, right)
        return self._means[left, right]

    def _evaluated(self, left: PairOrders, right: PairOrders) -> Array:
        order = max(*left, *right, 0)
        _require_derivative(self._activation, order)
        total = np.zeros([len(pairs(len(self.K), orders)[0]) for orders in (left, right)])
        for z, tower in self._pieces(order):
            rows = self._rows(left, z, tower)
            total += rows @ (rows if left == right else self._rows(right, z, tower)).T
        return np.asarray(total / self._z.shape[1])

    def _pieces(self, order: int) -> Iterator[tuple[Array, list[Array]]]:
        """Some nodes at a time, and the derivatives of sigma there."""
        for start in range(0, self._z.shape[1], _NODES_AT_ONCE):
            z = self._z[:, start : start + _NODES_AT_ONCE]
            yield z, self._activation.derivatives(z, order)

    def _rows(self, orders: PairOrders, z: Array, tower: list[Array]) -> Array:
        """A pair function at some nodes: (pair, node)."""
        a, b = pairs(len(z), orders)
        if orders == WICK:
            return z[a] * z[b] - self.K[a, b][:, None]
        rows = tower[orders[0]][a]
        rows *= tower[orders[1]][b]
        return rows


def pairs(N: int, orders: PairOrders) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The inputs (a, b) of every row of a pair function: a <= b if it is symmetric, else all."""
    if orders[0] == orders[1]:
        return np.triu_indices(N)
    a, b = np.indices((N, N)).reshape(2, -1)
    return a, b


def pair_numbers(N: int, orders: PairOrders) -> NDArray[np.intp]:
    """The row of every pair of inputs: (N, N)."""
    a, b = pairs(N, orders)
    numbers = np.empty((N, N), dtype=np.intp)
    if orders[0] == orders[1]:
        numbers[b, a] = np.arange(len(a))
    numbers[a, b] = np.arange(len(a))
    return numbers


def correlated_nodes(K: Array, count: int, seed: SeedSequence) -> Array:
    """Nodes z of N(0, K), (N, count): scrambled Sobol points in Cholesky coordinates.

    The first coordinate, the most even one, is the sum of all inputs, the direction in which they mostly vary together; the
    others follow the inputs in their order. So the nodes are continuous in K, which those along eigenvectors are not. Which
    Sobol coordinate they take is drawn, as some quadruples of these are unevenly spread.
    """
    together = np.vstack([np.ones(len(K)), np.eye(len(K))])
    loadings, _ = eliminate(together @ K @ together.T, range(len(together)))
    generator = default_rng(seed)
    points = qmc.Sobol(len(K), rng=generator).random(count)
    taken = [0, *generator.permutation(np.arange(1, len(K)))]
    return np.asarray(loadings[1:, :-1] @ ndtri(points + _SOBOL_STEP / 2).T[taken])


def _require_derivative(activation: Activation, order: int) -> None:
    """Raise one line if sigma^(order) is a distribution."""
    smoothness = min((first_jump(*activation.sides(kink, _MAX_ORDER)) for kink in activation.kinks), default=math.inf)
    if order > smoothness:
        raise RgflowError(
            f"nodes: sigma^({order}) of {activation.label} is a distribution; allowed: up to {smoothness}"
        )
