"""Gaussian means of products of analytic functions of up to four correlated inputs, by nested quadrature.

The inputs of a product are split into an outer set (none, one or two inputs) and an inner pair. Outer inputs are integrated on
a grid in their Cholesky coordinates. Given them, the inner pair is Gaussian with shifted means and a fixed 2 x 2 covariance, so
its mean is a bilinear form F P G: F and G tabulate one function each on one-dimensional grids, P is the density. Four inputs thus
take n^3 evaluations and n^4 multiplications in a matrix product, where n nodes resolve one direction. Covariances may be
singular: a direction without variance gets few nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rgflow.gaussian.nodes import Vector, hermite_rule, trapezoid_rule

Array = NDArray[np.float64]
Family = Callable[[Array], Array]  # z -> values (function, *z.shape) of all functions wanted of one input

_POLE_MARGIN = 14.0  # extra nats for poles of products of high derivatives
_HERMITE_RADIUS = 1.2  # 2 for a single pole; less for entire functions and products of four
_RIDGE = 0.97  # above this correlation the density of an inner pair is too narrow a ridge for its grid
_GRADE = 4.0  # nats between the resolutions of inner grids
_FEWEST_NATS = 8.0
_NODES_AT_ONCE = 2**16  # fits the cache


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
        step, reach = self._step(loading), self._reach()
        if 2 * reach / step > (count := self._hermite_count(loading)):
            return hermite_rule(count)
        return trapezoid_rule(step, reach, self.shift)

    def grid(self, loading: float, width: float) -> tuple[Vector, Vector]:
        """Trapezoidal nodes and weights that also resolve a Gaussian of standard deviation `width` <= 1."""
        return trapezoid_rule(min(self._step(loading), width * self._step(0.0)), self._reach(), self.shift)

    def _reach(self) -> float:
        return math.sqrt(2 * self.nats + 8)

    def _step(self, loading: float) -> float:
        gaussian_limit = math.sqrt(self.nats / 2) / math.pi
        pole_limit = loading * (self.nats + _POLE_MARGIN) / (2 * math.pi * self.radius)
        return 1 / max(gaussian_limit, pole_limit)

    def _hermite_count(self, loading: float) -> int:
        if not loading:
            return 1
        if math.isinf(self.radius):
            return 10**6  # polynomials of unknown degree: leave them to the trapezoid
        extra = 6 if self.shift == 0 else 9  # another node set where the trapezoid would be shifted
        return math.ceil((loading * (self.nats + _POLE_MARGIN) / (_HERMITE_RADIUS * self.radius)) ** 2) + extra


class Split(NamedTuple):
    """Inputs of a product: integrated in the outer grid, and the inner pair."""

    outer: tuple[int, ...]
    inner: tuple[int, int]


def product_means(families: Sequence[Family], K: Array, rule: Rule) -> Array:
    """<f_1(z_1) ... f_d(z_d)>_K for every choice of one function per input.

    Parameters
    ----------
    families
        For each of the d = 1..4 inputs, a vectorized map from z to the values of its functions.
    K
        Covariance (d, d), singular allowed.
    rule
        The resolution.

    Returns
    -------
    array
        Axis k runs over the functions of input k.
    """
    if len(families) == 1:
        u, w = rule.nodes(math.sqrt(K[0, 0]))
        return np.asarray(families[0](math.sqrt(K[0, 0]) * u) @ w)
    split = choose_split(K)
    loadings, rest = _eliminate(K, split.outer)
    u, w = _outer_grid(loadings, rule)
    means = u @ loadings.T
    i, j = split.inner
    pair = _graded_pair_means((families[i], families[j]), means[:, [i, j]], w, rest[np.ix_([i, j], [i, j])], rule)
    outer = [families[k](means[:, k]) for k in split.outer]
    total = contract(outer, w, pair)
    return np.transpose(total, np.argsort([*split.outer, i, j]))


def square_means(family: Family, variance: float, rule: Rule) -> Array:
    """<f(z) g(z)> for all functions f, g of one family of one input."""
    u, w = rule.nodes(math.sqrt(variance))
    values = family(math.sqrt(variance) * u)
    return np.asarray((values * w) @ values.T)


def contract(outer: Sequence[Array], w: Vector, pair: Array) -> Array:
    """Sum over outer nodes n of w[n] prod_k outer[k][f_k, n] pair[n, f, g]."""
    weight = w[None]
    for values in outer:
        weight = (weight[:, None] * values).reshape(-1, w.size)
    shape = (*(len(values) for values in outer), *pair.shape[1:])
    return (weight @ pair.reshape(w.size, -1)).reshape(shape)


def choose_split(K: Array) -> Split:
    """The inner pair with the smallest partial correlation."""
    d = len(K)
    splits = [Split(tuple(k for k in range(d) if k not in pair), pair) for pair in combinations(range(d), 2)]
    if len(splits) == 1:
        return splits[0]
    return min(splits, key=lambda split: abs(_partial_correlation(K, split)))


def _partial_correlation(K: Array, split: Split) -> float:
    i, j = split.inner
    _, rest = _eliminate(K, split.outer)
    return _correlation(rest[i, i], rest[i, j], rest[j, j])


def _correlation(x: float, c: float, y: float) -> float:
    return max(-1.0, min(1.0, c / math.sqrt(x * y))) if x * y > 0 else 0.0


def _eliminate(K: Array, outer: Sequence[int]) -> tuple[Array, Array]:
    """Cholesky loadings (d, len(outer)) of all inputs on the outer ones, and the covariance that remains given these."""
    rest, loadings = K.copy(), np.zeros((len(K), len(outer)))
    for column, k in enumerate(outer):
        if rest[k, k] > 1e-15 * K[k, k]:
            loadings[:, column] = rest[:, k] / math.sqrt(rest[k, k])
            rest -= np.outer(loadings[:, column], loadings[:, column])
    np.fill_diagonal(rest, np.maximum(rest.diagonal(), 0.0))
    return loadings, rest


def _outer_grid(loadings: Array, rule: Rule) -> tuple[Array, Vector]:
    """Product grid (node, direction) and weights; corners of negligible weight are cut."""
    u, w = np.zeros((1, 0)), np.ones(1)
    for column in np.abs(loadings).T:
        nodes, weights = rule.nodes(float(column.max()))
        u = np.column_stack([np.repeat(u, nodes.size, axis=0), np.tile(nodes, len(u))])
        w = np.outer(w, weights).ravel()
    keep = w > w.max() * math.exp(-rule.nats - 4)
    return u[keep], w[keep]


def _graded_pair_means(families: tuple[Family, Family], means: Array, w: Vector, S: Array, rule: Rule) -> Array:
    """`_pair_means` with fewer nodes in rows of little weight `w`, whose errors count less."""
    levels = np.floor(np.log(w.max() / w) / _GRADE)
    parts = [(levels == level, rule.relaxed(_GRADE * float(level))) for level in np.unique(levels)]
    found = [(rows, _pair_means(families, means[rows], S, relaxed)) for rows, relaxed in parts]
    result = np.empty((len(means), *found[0][1].shape[1:]))
    for rows, values in found:
        result[rows] = values
    return result


def _pair_means(families: tuple[Family, Family], means: Array, S: Array, rule: Rule) -> Array:
    """<f(m_1 + y_1) g(m_2 + y_2)>, y ~ N(0, S), at every row m of `means`: (row, f, g)."""
    rho = _correlation(S[0, 0], S[0, 1], S[1, 1])
    if abs(rho) > _RIDGE:
        return _ridge_means(families, means, S, rule)
    sd = np.sqrt(S.diagonal())
    width = math.sqrt(1 - rho * rho)
    (u, wu), (v, wv) = (rule.grid(s, width) for s in sd)
    exponent = (2 * rho * np.outer(u, v) - rho**2 * np.add.outer(u * u, v * v)) / (2 * width**2)
    density = np.outer(wu, wv) * np.exp(exponent) / width
    rows = max(1, _NODES_AT_ONCE // (u.size + v.size))
    chunks = (means[i : i + rows] for i in range(0, len(means), rows))
    tables = ((families[0](m[:, :1] + sd[0] * u), families[1](m[:, 1:] + sd[1] * v)) for m in chunks)
    return np.concatenate([_bilinear(f @ density, g) for f, g in tables])


def _bilinear(f: Array, g: Array) -> Array:
    """Sum over the last axis of f[a, row, :] g[b, row, :]: (row, a, b)."""
    return np.moveaxis(np.array([[np.einsum("nx,nx->n", fa, gb) for gb in g] for fa in f]), 2, 0)


def _ridge_means(families: tuple[Family, Family], means: Array, S: Array, rule: Rule) -> Array:
    """`_pair_means` of strongly correlated inputs: few nodes resolve the second given the first."""
    loadings, rest = _eliminate(S, (0,))
    (first, second), narrow = loadings[:, 0], math.sqrt(rest[1, 1])
    u, wu = rule.nodes(max(abs(first), abs(second)))
    v, wv = rule.nodes(narrow)
    spread = second * u[:, None] + narrow * v
    rows = max(1, _NODES_AT_ONCE // spread.size)
    chunks = (means[i : i + rows] for i in range(0, len(means), rows))
    tables = ((families[0](m[:, :1] + first * u), families[1](m[:, 1, None, None] + spread) @ wv) for m in chunks)
    return np.concatenate([_bilinear(f * wu, g) for f, g in tables])
