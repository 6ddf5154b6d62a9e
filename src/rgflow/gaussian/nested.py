"""Gaussian means of products of analytic functions of up to four correlated inputs, by nested quadrature.

The inputs of a product are split into an outer set (none, one or two inputs) and an inner pair. Outer inputs are integrated on
a grid in their Cholesky coordinates. Given them, the inner pair is Gaussian with shifted means and a fixed 2 x 2 covariance, so
its mean is a bilinear form F P G: F and G tabulate one function each on one-dimensional grids, P is the density. Four inputs thus
take n^3 evaluations and n^4 multiplications in a matrix product, where n nodes resolve one direction. Products with the same
outer set form a group, and share its grid and tables: of 8 inputs about 8 outer pairs serve all 70 quadruples. Covariances
may be singular: a direction without variance gets few nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.gaussian.moments import Array, subsets
from rgflow.gaussian.nodes import Vector, hermite_rule, trapezoid_rule
from rgflow.gaussian.wick import hermite_values

Family = Callable[[Array], Array]  # z -> values (function, *z.shape) of all functions wanted of one input
PairSum = Callable[[Array], Array]  # values (function, input, row, node) -> means of the pairs (row, pair, f, g)

_POLE_MARGIN = 14.0  # extra nats for poles of products of high derivatives
_HERMITE_RADIUS = 1.2  # 2 for a single pole; less for entire functions and products of four
_FLAT = 0.6  # partial correlations below this cost next to nothing
_BANDS = (_FLAT, 0.85, 0.97)  # of correlations with one grid each; above, the density is too narrow a ridge for a grid
_PAIRS_AT_ONCE = 128
_GRADE = 4.0  # nats between the resolutions of inner grids
_FEWEST_NATS = 8.0
_NODES_AT_ONCE = 2**16  # fits the cache
_MOST_OUTER_NODES = 2_000_000  # of the grid over two inputs: 64 MiB
_MOST_NODES = 4000  # of a grid, whose square is held in memory


@dataclass(frozen=True)
class Rule:
    """How finely to integrate: to a relative error exp(-nats) for functions analytic within `radius` of the real axis."""

    nats: float
    radius: float
    shift: float = 0.0

    def refined(self, factor: float, shift: float) -> Rule:
        """The rule for `factor` times the nats, with trapezoidal nodes shifted by `shift` steps."""
        return Rule(factor * self.nats, self.radius, shift)

    def relaxed(self, nats: float) -> Rule:
        """The rule for errors larger by a factor exp(nats)."""
        return Rule(max(self.nats - nats, _FEWEST_NATS), self.radius, self.shift)

    def nodes(self, loading: float) -> tuple[Vector, Vector]:
        """Nodes and weights for f(loading * u), u standard normal: the cheaper of trapezoid and Gauss-Hermite."""
        step, reach = self._step(loading, 1.0), self._reach()
        if 2 * reach / step > (count := self._hermite_count(loading)):
            return hermite_rule(count)
        return self._trapezoid(loading, 1.0)

    def grid(self, loading: float, width: float) -> tuple[Vector, Vector]:
        """Trapezoidal nodes and weights that also resolve a Gaussian of standard deviation `width` <= 1."""
        return self._trapezoid(loading, width)

    def _trapezoid(self, loading: float, width: float) -> tuple[Vector, Vector]:
        step, reach = self._step(loading, width), self._reach()
        if 2 * reach > _MOST_NODES * step:
            raise RgflowError(
                f"Gaussian means of preactivations with standard deviation {loading:.3g} need more than {_MOST_NODES} nodes; "
                "choose C_b and C_W closer to criticality, and normalize the inputs, |x|^2 = n_0"
            )
        return trapezoid_rule(step, reach, self.shift)

    def _reach(self) -> float:
        return math.sqrt(2 * self.nats + 8)

    def _step(self, loading: float, width: float) -> float:
        """The step h for which moving the contour by y into the complex plane leaves an error of exp(-nats).

        That gains 2 pi y/h and costs y^2/(2 width^2) of the Gaussian and the growth of f, analytic up to y = radius/loading.
        """
        gaussian_limit = width * math.sqrt(2 * self.nats)
        growth = _POLE_MARGIN * loading / self.radius
        y = min(gaussian_limit, self.radius / loading) if loading else gaussian_limit
        return 2 * math.pi / ((self.nats + (y / width) ** 2 / 2) / y + growth)

    def _hermite_count(self, loading: float) -> int:
        if not loading:
            return 1
        if math.isinf(self.radius):
            return 10**6  # polynomials of unknown degree: leave them to the trapezoid
        extra = 6 if self.shift == 0 else 9  # another node set where the trapezoid would be shifted
        return math.ceil((loading * (self.nats + _POLE_MARGIN) / (_HERMITE_RADIUS * self.radius)) ** 2) + extra


class Group(NamedTuple):
    """Products that share the inputs of their outer grid: `outer`, and the inner pairs (pair, 2)."""

    outer: tuple[int, ...]
    pairs: NDArray[np.intp]

    def products(self) -> NDArray[np.intp]:
        """The inputs of every product: (pair, d), outer ones first."""
        outer = np.broadcast_to(np.array(self.outer, dtype=np.intp), (len(self.pairs), len(self.outer)))
        return np.concatenate([outer, self.pairs], axis=1)


def groups(K: Array, d: int) -> list[Group]:
    """Few groups that hold all products of d = 2, 3, 4 different inputs.

    Greedy cover by outer sets: a product goes where the partial correlation of its inner pair is flat or, if it nowhere is,
    the smallest.
    """
    chosen = subsets(len(K), d)
    outers = list(combinations(range(len(K)), d - 2))
    ridges = np.array([_inner_correlations(K, outer, chosen) for outer in outers])
    suits = ridges <= np.maximum(ridges.min(axis=0), _FLAT)
    found = []
    while suits.any():
        best = int(np.argmax(suits.sum(axis=1)))
        members = chosen[suits[best]]
        inner = ~np.isin(members, outers[best])
        found.append(Group(outers[best], members[inner].reshape(-1, 2)))
        suits[:, suits[best]] = False
    return found


def flattest_order(K: Array) -> NDArray[np.intp]:
    """Outer inputs, then inner pair of the product of all inputs whose inner pair has the smallest partial correlation."""
    product = np.arange(len(K))
    outers = combinations(range(len(K)), len(K) - 2)
    best = min(outers, key=lambda outer: float(_inner_correlations(K, outer, product[None])[0]))
    return np.array([*best, *(k for k in product if k not in best)])


def _inner_correlations(K: Array, outer: tuple[int, ...], chosen: NDArray[np.intp]) -> Array:
    """Size of the correlation, given the outer inputs, of the two others of every product; inf where `outer` is no part."""
    result = np.full(len(chosen), math.inf)
    inside = np.isin(chosen, outer)
    members = inside.sum(axis=1) == len(outer)
    pairs = chosen[members][~inside[members]].reshape(-1, 2)
    result[members] = np.abs(_correlations(eliminate(K, outer)[1], pairs))
    return result


def group_means(family: Family, K: Array, group: Group, rule: Rule) -> Array:
    """<f_1(z_1) ... f_d(z_d)>_K for the products of a group and every choice of one function of the family per input.

    Parameters
    ----------
    family
        Vectorized map from z to the values of its functions.
    K
        Covariance of all inputs, singular allowed.
    group
        The outer inputs and inner pairs.
    rule
        The resolution.

    Returns
    -------
    array
        (pair, *functions of the outer inputs, function of the first, of the second of the pair).
    """
    loadings, rest = eliminate(K, group.outer)
    u, w = _outer_grid(loadings[[*group.outer, *group.pairs.flat]], rule)
    means = u @ loadings.T
    outer = [family(means[:, k]) for k in group.outer]
    total: Array = np.zeros(())
    levels = np.floor(np.log(w.max() / w) / _GRADE)
    for level in np.unique(levels):  # fewer inner nodes where errors have little weight
        rows = levels == level
        pair = _pair_means(family, means[rows], rest, group.pairs, rule.relaxed(_GRADE * float(level)))
        total = total + contract([values[:, rows] for values in outer], w[rows], pair)
    return np.moveaxis(total, len(outer), 0)


def input_means(family: Family, variance: float, rule: Rule) -> Array:
    """<f(z)> of one input for all functions of a family."""
    u, w = rule.nodes(math.sqrt(variance))
    return np.asarray(family(math.sqrt(variance) * u) @ w)


def square_means(family: Family, variance: float, rule: Rule) -> Array:
    """<f(z) g(z)> for all functions f, g of one family of one input."""
    u, w = rule.nodes(math.sqrt(variance))
    values = family(math.sqrt(variance) * u)
    return np.asarray((values * w) @ values.T)


def contract(outer: Sequence[Array], w: Vector, pair: Array) -> Array:
    """Sum over outer nodes n of w[n] prod_k outer[k][f_k, n] pair[n, ...]: (f_1, f_2, ..., ...)."""
    weight = w[None]
    for values in outer:
        weight = (weight[:, None] * values).reshape(-1, w.size)
    shape = (*(len(values) for values in outer), *pair.shape[1:])
    return (weight @ pair.reshape(w.size, -1)).reshape(shape)


def eliminate(K: Array, outer: Sequence[int]) -> tuple[Array, Array]:
    """Cholesky loadings (N, len(outer)) of all inputs on the outer ones, and the covariance that remains given these."""
    rest, loadings = K.copy(), np.zeros((len(K), len(outer)))
    for column, k in enumerate(outer):
        if rest[k, k] > 1e-15 * K[k, k]:
            loadings[:, column] = rest[:, k] / math.sqrt(rest[k, k])
            rest -= np.outer(loadings[:, column], loadings[:, column])
    np.fill_diagonal(rest, np.maximum(rest.diagonal(), 0.0))
    return loadings, rest


def _correlations(S: Array, pairs: NDArray[np.intp]) -> Array:
    """Correlations of pairs; 0 where one of the two has no variance."""
    i, j = pairs.T
    scale = np.sqrt(S[i, i] * S[j, j])
    return np.asarray(np.clip(np.divide(S[i, j], scale, out=np.zeros(len(pairs)), where=scale > 0), -1.0, 1.0))


def _outer_grid(loadings: Array, rule: Rule) -> tuple[Array, Vector]:
    """Product grid (node, direction) and weights; corners of negligible weight are cut."""
    u, w = np.zeros((1, 0)), np.ones(1)
    for column in np.abs(loadings).T:
        nodes, weights = rule.nodes(float(column.max()))
        if len(u) * nodes.size > _MOST_OUTER_NODES:
            raise RgflowError(
                f"Gaussian means over four inputs need {len(u) * nodes.size} outer nodes, more than {_MOST_OUTER_NODES}; "
                "scale the inputs down, or choose C_b and C_W closer to criticality"
            )
        u = np.column_stack([np.repeat(u, nodes.size, axis=0), np.tile(nodes, len(u))])
        w = np.outer(w, weights).ravel()
    keep = w > w.max() * math.exp(-rule.nats - 4)
    return u[keep], w[keep]


def _pair_means(family: Family, means: Array, S: Array, pairs: NDArray[np.intp], rule: Rule) -> Array:
    """<f(m_i + y_i) g(m_j + y_j)>, y ~ N(0, S), for every pair (i, j) and row m of `means`: (row, pair, f, g)."""
    bands = np.digitize(np.abs(_correlations(S, pairs)), _BANDS)
    parts = []
    for band in np.unique(bands):
        members = np.flatnonzero(bands == band)
        size = 1 if band == len(_BANDS) else _PAIRS_AT_ONCE
        parts += [members[start : start + size] for start in range(0, len(members), size)]
    found = []
    for members in parts:
        means_of = _ridge_means if bands[members[0]] == len(_BANDS) else _grid_means
        found.append(means_of(family, means, S, pairs[members], rule))
    return np.concatenate(found, axis=1)[:, np.argsort(np.concatenate(parts))]


def _grid_means(family: Family, means: Array, S: Array, pairs: NDArray[np.intp], rule: Rule) -> Array:
    """`_pair_means` of moderately correlated pairs: all inputs on one grid in units of their standard deviations."""
    used, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(-1, 2)
    sd, rho = np.sqrt(S.diagonal()[used]), _correlations(S, pairs)
    largest = float(np.abs(rho).max())
    u, w = rule.grid(float(sd.max()), math.sqrt(1 - largest**2))
    terms = _mehler_terms(largest, rule)
    if len(used) * terms < len(pairs) * u.size:
        coupled = _coupled_by_series(u, w, rho, places, terms)
    else:
        coupled = _coupled_by_density(u, w, rho, places)
    rows = max(1, _NODES_AT_ONCE // (len(pairs) * u.size))
    found = []
    for start in range(0, len(means), rows):
        centers = means[start : start + rows, used].T
        found.append(coupled(family(centers[:, :, None] + sd[:, None, None] * u)))
    return np.concatenate(found)


def _coupled_by_density(u: Vector, w: Vector, rho: Vector, places: NDArray[np.intp]) -> PairSum:
    """Sums over the nodes of both inputs."""
    first, second = places.T
    square, rho = np.add.outer(u * u, u * u), rho[:, None, None]
    exponent = (2 * rho * np.outer(u, u) - rho**2 * square) / (2 * (1 - rho * rho))
    density = np.outer(w, w) * np.exp(exponent) / np.sqrt(1 - rho * rho)
    return lambda values: _products(values[:, first] @ density, values[:, second])


def _coupled_by_series(u: Vector, w: Vector, rho: Vector, places: NDArray[np.intp], terms: int) -> PairSum:
    """Mehler's series of the density, sum_k rho^k h_k(u) h_k(v) with h_k the normalized Hermite polynomials: after the moments
    of every function with these, a pair takes one sum over k."""
    first, second = places.T
    basis = (w * hermite_values(terms, u)).T
    powers = (rho[:, None] ** np.arange(terms))[:, None]

    def coupled(values: Array) -> Array:
        moments = values @ basis
        return _products(moments[:, first] * powers, moments[:, second])

    return coupled


def _products(left: Array, right: Array) -> Array:
    """Sums over the last axis of (function, pair, row, ...): (row, pair, f, g)."""
    return np.asarray(left.transpose(2, 1, 0, 3) @ right.transpose(2, 1, 3, 0))


def _mehler_terms(rho: float, rule: Rule) -> int:
    """Terms k until the rest is below the accuracy: it is less than 2 reach rho^k / (1 - rho) of <f^2>^(1/2) <g^2>^(1/2)."""
    return 1 + math.ceil((rule.nats + 3.0 - math.log(1 - rho)) / -math.log(rho)) if rho else 1


def _ridge_means(family: Family, means: Array, S: Array, pairs: NDArray[np.intp], rule: Rule) -> Array:
    """`_pair_means` of one strongly correlated pair: few nodes resolve the second input given the first."""
    pair = pairs[0]
    loadings, rest = eliminate(S[np.ix_(pair, pair)], (0,))
    (first, second), narrow = loadings[:, 0], math.sqrt(rest[1, 1])
    u, wu = rule.nodes(max(abs(first), abs(second)))
    v, wv = rule.nodes(narrow)
    spread = second * u[:, None] + narrow * v
    rows = max(1, _NODES_AT_ONCE // spread.size)
    found = []
    for start in range(0, len(means), rows):
        centers = means[start : start + rows, pair].T
        left = family(centers[0][:, None] + first * u) * wu
        right = family(centers[1][:, None, None] + spread) @ wv
        found.append(np.einsum("fru,gru->rfg", left, right))
    return np.concatenate(found)[:, None]
