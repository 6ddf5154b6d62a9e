"""Moments where one of the inputs vanishes: its preactivation is 0 for certain, its sigma' the one that networks use at 0.

The limit of a small input is another matter: for relu <sigma'^2> is 1/2 at every K > 0, and sigma'(0)^2 = 0 at K = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import MAX_ORDER, Activation
from rgflow.gaussian.moments import Array, Moments, powers, product_values, subsets
from rgflow.gaussian.single import distribution_mean


class VanishingMoments:
    """`Moments` of an activation with kinks where input `zero` has no variance; the others are left to `rest`.

    Derivatives in the variance of the vanishing input, and in its covariances, are given as 0: nothing that they multiply
    can be other than 0.
    """

    def __init__(self, activation: Activation, K: Array, rest: Callable[[Array], Moments]) -> None:
        variance = K.diagonal()
        self._activation, self._count = activation, len(K)
        self._others: NDArray[np.intp] = np.flatnonzero(variance)
        self._zero = int(np.flatnonzero(variance == 0)[0])
        self._at_zero = [float(part) for part in activation.derivatives(0.0, MAX_ORDER)]
        self._variance = variance[self._others]
        self._rest = rest(K[np.ix_(self._others, self._others)])
        self._products: dict[int, dict[tuple[int, ...], Array]] = {}

    @property
    def error(self) -> float:
        """Largest estimated relative error of the others."""
        return self._rest.error

    def pair(self, p: int, q: int) -> Array:
        result = self._embedded(self._rest.pair(p, q))
        result[self._zero, self._others] = self._at_zero[p] * self._mean(q)
        result[self._others, self._zero] = self._at_zero[q] * self._mean(p)
        result[self._zero, self._zero] = self._at_zero[p] * self._at_zero[q]
        return result

    def gradient(self, p: int) -> Array:
        result = self._embedded(self._rest.gradient(p))
        result[self._others, self._zero, 0] = self._at_zero[p] * self._mean(p + 2) / 2
        result[self._zero, self._others, 2] = result[self._others, self._zero, 0]
        return result

    def hessian(self, p: int) -> Array:
        result = self._embedded(self._rest.hessian(p))
        result[self._others, self._zero, 0, 0] = self._at_zero[p] * self._mean(p + 4) / 4
        result[self._zero, self._others, 2, 2] = result[self._others, self._zero, 0, 0]
        return result

    def products(self, d: int) -> Array:
        chosen, size = subsets(self._count, d), len(powers(d))
        whole, smaller = self._products_of_others(d), self._products_of_others(d - 1)
        own = product_values(self._activation, np.zeros(()), d)
        result = np.empty((len(chosen), *(size,) * d))
        for index, subset in enumerate(map(tuple, chosen.tolist())):
            if self._zero not in subset:
                result[index] = whole[subset]
                continue
            others = tuple(k for k in subset if k != self._zero)
            means = smaller[others][(slice(size),) * (d - 1)]  # products are numbered by degree, the lowest first
            result[index] = np.moveaxis(np.multiply.outer(own, means), 0, subset.index(self._zero))
        return result

    def _products_of_others(self, d: int) -> dict[tuple[int, ...], Array]:
        """Products of d inputs that do not vanish, by their places."""
        if d == 0:
            return {(): np.ones(())}
        if d not in self._products:
            places = self._others[subsets(len(self._others), d)].tolist()
            means = list(self._rest.products(d)) if places else []
            self._products[d] = dict(zip(map(tuple, places), means, strict=True))
        return self._products[d]

    def _mean(self, order: int) -> Array:
        """<sigma^(order)> of every other input."""
        return np.array([distribution_mean(self._activation, order, float(K)) for K in self._variance])

    def _embedded(self, others: Array) -> Array:
        """The array of the others, with zeros where the vanishing input takes part."""
        result = np.zeros((self._count, self._count, *others.shape[2:]))
        result[np.ix_(self._others, self._others)] = others
        return result
