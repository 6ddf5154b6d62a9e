"""All Gaussian averages that the recursion of one layer needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.averages import Orders
from rgflow.gaussian.kinked import KinkedMoments
from rgflow.gaussian.moments import MAX_FACTORS, Array, Moments, product_index, subsets
from rgflow.gaussian.parallel import apartness
from rgflow.gaussian.scale_invariant import ScaleInvariantMoments
from rgflow.gaussian.smooth import SmoothMoments
from rgflow.gaussian.vanishing import VanishingMoments

_PATTERNS = [(0,) * (MAX_FACTORS - primes) + (1,) * primes for primes in range(MAX_FACTORS + 1)]
_SAME = 1e-28  # relative variance of z_a - z_b below which two inputs are one


class Expectations:
    """Gaussian averages over N inputs with covariance K, singular K (repeated and parallel inputs) included.

    Parameters
    ----------
    activation
        The activation sigma; one with kinks is integrated exactly from kink to kink. Unless it is scale-invariant,
        inputs may then be parallel or in one plane exactly, but not nearly so. An input without variance is 0 for certain,
        and sigma'(0) at a kink the one that networks use.
    K
        Covariance (N, N), symmetric and positive semidefinite.
    rtol
        Relative error allowed in every average, relative to the root mean squares of its factors.
    apart
        1 - |correlation| (N, N), where it is known better than K tells it: relu's averages depend on the angle between two
        inputs, whose error is the root of that of the correlation.

    Raises
    ------
    RgflowError
        K is not a covariance, or an average does not reach `rtol`.
    """

    def __init__(
        self, activation: Activation, K: ArrayLike, rtol: float = 1e-10, apart: ArrayLike | None = None
    ) -> None:
        covariance = _checked_covariance(K)
        distances = apartness(covariance) if apart is None else np.asarray(apart, dtype=np.float64)
        self._distinct, self._position = _distinct_inputs(covariance, distances)
        chosen = np.ix_(self._distinct, self._distinct)
        self._K = covariance[chosen]
        self._moments = _engine(activation, self._K, rtol, distances[chosen])
        self._quartics: dict[tuple[int, ...], Array] = {}
        self._pair_entries: dict[tuple[int, ...], tuple[NDArray[np.intp], Array]] = {}

    @property
    def error(self) -> float:
        """Largest estimated relative error of anything evaluated so far."""
        return self._moments.error

    def pair(self, p: int, q: int | None = None) -> Array:
        """<sigma^(p)_a sigma^(q)_b>_K: (N, N); q defaults to p."""
        return self._expand(self._moments.pair(p, p if q is None else q), 2)

    def jacobian(self, p: int) -> Array:
        """Derivatives of <sigma^(p)_a sigma^(p)_b> in (K_aa, K_ab, K_bb): (N, N, 3).

        K_ab is one (symmetric) variable. For a = b only slot 0 is used: the total derivative in K_aa.
        """
        slots = self._expand(self._moments.gradient(p), 2)
        total = np.einsum("aak->a", slots)
        diagonal = np.arange(len(slots))
        slots[diagonal, diagonal] = 0.0
        slots[diagonal, diagonal, 0] = total
        return slots

    def hessian(self, p: int) -> Array:
        """Second derivatives in the variables of `jacobian`: (N, N, 3, 3); for a = b only [0, 0] is used."""
        slots = self._expand(self._moments.hessian(p), 2)
        total = np.einsum("aakm->a", slots)
        diagonal = np.arange(len(slots))
        slots[diagonal, diagonal] = 0.0
        slots[diagonal, diagonal, 0, 0] = total
        return slots

    def quartic(self, orders: Orders) -> Array:
        """<s_a s_b s_c s_d> with s_a = sigma^(orders[0])(z_a) and so on, each order 0 or 1: (N, N, N, N)."""
        arranged, axes = arrangement(orders)
        if arranged not in self._quartics:
            self._quartics |= assembled(len(self._K), self._quartic_engine(arranged))
        if not np.all(np.isfinite(self._quartics[arranged])):
            raise RgflowError(f"quartic: the mean with orders {orders} does not exist where sigma jumps or overflows")
        return self._expand(self._quartics[arranged].transpose(axes), MAX_FACTORS)

    def _quartic_engine(self, arranged: Orders) -> QuarticEngine:
        """What evaluates the quartic moments of sorted orders, for `assembled`."""
        if len(arranged) != MAX_FACTORS or not set(arranged) <= {0, 1}:
            raise RgflowError(f"quartic: orders = {arranged}; allowed: four derivative orders, each 0 or 1")
        return QuarticEngine(_PATTERNS, self._moments.products, _place)

    def pair_entries(self, orders: Orders) -> tuple[NDArray[np.intp], Array]:
        """The entries of `quartic`, for sorted orders, where no more than two different inputs meet: places and values.

        Places count the entries of the (N, N, N, N) array. They take no more than averages over pairs, so many inputs are fine.
        """
        if orders not in self._pair_entries:
            for pattern, known in assembled(len(self._K), self._quartic_engine(orders), largest=2).items():
                entries = self._expand(known, MAX_FACTORS).ravel()
                places = np.flatnonzero(np.isfinite(entries))
                self._pair_entries[pattern] = (places, entries[places])
        return self._pair_entries[orders]

    def _expand(self, distinct: Array, legs: int) -> Array:
        """From distinct to all inputs, on the first `legs` axes."""
        return distinct[np.ix_(*[self._position] * legs)]


class QuarticEngine(NamedTuple):
    """Quartic moments that are evaluated together.

    Attributes
    ----------
    patterns
        Their derivative orders, sorted.
    products
        d -> means of products of d different inputs, (subset, function of the first, ..., of the last).
    place
        (sorted orders of the factors that one of d inputs takes, d) -> number of that function.
    """

    patterns: Sequence[tuple[int, ...]]
    products: Callable[[int], Array]
    place: Callable[[tuple[int, ...], int], int]


def arrangement(orders: Orders) -> tuple[Orders, tuple[int, ...]]:
    """The orders sorted, and the axes that bring a quartic moment of sorted orders into the order asked for."""
    axes = np.argsort(np.argsort(orders, kind="stable"))
    return tuple(sorted(orders)), tuple(axes.tolist())  # type: ignore[return-value]


def assembled(n: int, engine: QuarticEngine, largest: int = MAX_FACTORS) -> dict[tuple[int, ...], Array]:
    """Quartic moments (n, n, n, n) of n different inputs for every pattern; NaN where more than `largest` inputs meet."""
    patterns, products, place = engine
    quartics = {orders: np.full((n,) * MAX_FACTORS, np.nan) for orders in patterns}
    for d in range(1, min(n, largest) + 1):
        chosen, means = subsets(n, d), products(d)
        for slots in product(range(d), repeat=MAX_FACTORS):
            if len(set(slots)) == d:
                for orders, quartic in quartics.items():
                    here: Any = [place(taken, d) for taken in _taken(slots, orders, d)]
                    quartic[tuple(chosen.T[list(slots)])] = means[(slice(None), *here)]
    return quartics


def _taken(slots: tuple[int, ...], orders: tuple[int, ...], d: int) -> list[tuple[int, ...]]:
    """The derivative orders that each of d inputs takes if factor k belongs to input slots[k]."""
    return [tuple(order for slot, order in zip(slots, orders, strict=True) if slot == k) for k in range(d)]


def _place(taken: tuple[int, ...], _: int) -> int:
    return product_index(len(taken), sum(taken))


def _engine(activation: Activation, K: Array, rtol: float, apart: Array) -> Moments:
    if not K.any():
        return SmoothMoments(activation, K, rtol)  # at a single point there are no kinks
    if activation.kinks and not K.diagonal().all():
        there = K.diagonal() > 0
        rest = apart[np.ix_(there, there)]
        return VanishingMoments(activation, K, lambda others: _engine(activation, others, rtol, rest))
    if activation.slopes is not None:
        return ScaleInvariantMoments(activation, K, rtol, apart)
    if activation.kinks:
        return KinkedMoments(activation, K, rtol)
    return SmoothMoments(activation, K, rtol)


def _checked_covariance(K: ArrayLike) -> Array:
    covariance = np.asarray(K, dtype=np.float64)
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not covariance.size:
        raise RgflowError(f"Expectations: K has shape {covariance.shape}; allowed: (N, N)")
    if not np.all(np.isfinite(covariance)):
        raise RgflowError("Expectations: K has non-finite entries")
    tiny = float(np.finfo(np.float64).tiny)
    if (smallest := covariance.diagonal()[covariance.diagonal() > 0].min(initial=1.0)) < tiny:
        raise RgflowError(f"Expectations: K has the variance {smallest:.3g}, below the range of float64, {tiny:.2g}")
    scale = max(float(np.abs(covariance).max()), tiny)
    if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-10 * scale):
        raise RgflowError("Expectations: K is not symmetric")
    if (lowest := float(np.linalg.eigvalsh(covariance)[0])) < -1e-8 * scale:
        raise RgflowError(f"Expectations: K has the negative eigenvalue {lowest:.3g}; allowed: positive semidefinite")
    return (covariance + covariance.T) / 2


def _distinct_inputs(K: Array, apart: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Representatives of the inputs that differ, and for every input the position of its representative."""
    deviation = np.sqrt(K.diagonal())
    size = np.multiply.outer(deviation, deviation)
    distance = (deviation[:, None] - deviation) ** 2 + 2 * size * np.where(K >= 0, apart, 2 - apart)
    same = distance <= _SAME * (deviation[:, None] ** 2 + deviation**2)
    representative = np.argmax(same, axis=1)
    distinct, position = np.unique(representative, return_inverse=True)
    return distinct, position
