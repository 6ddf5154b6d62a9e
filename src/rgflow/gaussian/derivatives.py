"""Quartic moments of higher derivatives of a smooth activation, as the differentials of the NTK need them."""

from __future__ import annotations

import math
from functools import cache, cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.averages import Orders
from rgflow.gaussian.expectations import Expectations, QuarticEngine
from rgflow.gaussian.moments import MAX_FACTORS, Array
from rgflow.gaussian.nested import Family, square_means
from rgflow.gaussian.smooth import SmoothMoments

PATTERNS: tuple[Orders, ...] = ((0, 1, 1, 2), (1, 1, 1, 3), (1, 1, 2, 2))
_MAX_ORDER = 3
_FINEST = 2.8  # times the nats of the tolerance: for scales, which are evaluated once


class DerivativeExpectations(Expectations):
    """`Expectations` of a smooth activation with the quartic moments of `PATTERNS` as well, permuted at will.

    Parameters
    ----------
    activation
        An activation without kinks.
    K
        Covariance (N, N), symmetric and positive semidefinite.
    rtol
        Relative error allowed in every average, relative to the fourth roots of the fourth moments of its factors.

    Raises
    ------
    RgflowError
        As `Expectations`, and an activation with kinks.
    """

    def __init__(self, activation: Activation, K: ArrayLike, rtol: float = 1e-10) -> None:
        if activation.kinks:
            raise RgflowError(f"averages of higher derivatives: {activation.label} has kinks")
        super().__init__(activation, K, rtol)
        self._derivatives = DerivativeMoments(activation, self._K, rtol)

    @property
    def error(self) -> float:
        return max(self._moments.error, self._derivatives.error)

    def _quartic_engine(self, arranged: Orders) -> QuarticEngine:
        if arranged in PATTERNS:
            return QuarticEngine(PATTERNS, self._derivatives.products, _place)
        return super()._quartic_engine(arranged)


class DerivativeMoments(SmoothMoments):
    """`SmoothMoments` whose products take factors sigma^(p) as in `PATTERNS`, numbered as in `factors`."""

    def _product_family(self, d: int) -> Family:
        def values(z: Array) -> Array:
            tower = self._activation.derivatives(z, _MAX_ORDER)
            return np.array([np.prod([tower[order] for order in taken], axis=0) for taken in factors(d)])

        return values

    @cached_property
    def _fourth_roots(self) -> Array:
        """<sigma^(p)^4>^(1/4) of every input: (input, p)."""
        rule = self._rule(_FINEST)
        family = self._tower(_MAX_ORDER)
        means = [square_means(lambda z: family(z) ** 2, variance, rule) for variance in self._K.diagonal()]
        return np.array([mean.diagonal() ** 0.25 for mean in means])

    def _product_scales(self, subset: NDArray[np.intp]) -> Array:
        """Upper bounds of the products of four factors by Hoelder's inequality; inf where a product is none of these."""
        d = len(subset)
        scales = np.full((len(factors(d)),) * d, math.inf)
        for index in _wanted(d):
            chosen = zip(self._fourth_roots[subset], index, strict=True)
            scales[index] = math.prod(float(np.prod(roots[list(factors(d)[k])])) for roots, k in chosen)
        return scales


@cache
def factors(d: int) -> list[tuple[int, ...]]:
    """The sorted derivative orders that one of d inputs may take in a product of one of the `PATTERNS`."""
    sizes = range(1, MAX_FACTORS + 2 - d)
    return sorted({part for pattern in PATTERNS for size in sizes for part in combinations(pattern, size)})


@cache
def _wanted(d: int) -> list[tuple[int, ...]]:
    """The choices of one of the `factors` for each of d inputs whose product is one of the `PATTERNS`."""
    choices = np.ndindex(*(len(factors(d)),) * d)
    return [index for index in choices if tuple(sorted(sum((factors(d)[k] for k in index), ()))) in PATTERNS]


def _place(taken: tuple[int, ...], d: int) -> int:
    return factors(d).index(taken)
