"""Moments of a Gaussian vector restricted to the positive orthant, in dimensions 1 to 4."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_PARALLEL = 1e-13  # relative variance below which a variable is fixed by those conditioned on
_ROUNDING = 2e-15  # of correlations: arcsin would turn it into an error of its square root


class OrthantMoments:
    r"""E[prod_i z_i^{p_i} theta(z_i)] for z ~ N(0, K), K of shape (..., d, d), d <= 4.

    Gaussian integration by parts, E[z_i h] = sum_b K_ib E[d_b h], lowers the powers; where d_b meets theta(z_b) it leaves the
    density at z_b = 0 times a moment of the others given z_b = 0. What remains are orthant probabilities, in closed form
    up to d = 3. K may be singular unless three variables are parallel given the others. `shift` moves the nodes
    of the integral that d = 4 needs, for an error estimate.
    """

    def __init__(self, K: Array, shift: float = 0.0) -> None:
        self._K, self._shift = K, shift
        self._known: dict[tuple[int, ...], Array] = {}
        self._given: dict[int, OrthantMoments] = {}

    def moment(self, powers: tuple[int, ...]) -> Array:
        """The moment with these powers, of shape K.shape[:-2]."""
        if powers not in self._known:
            self._known[powers] = self._by_parts(powers) if any(powers) else _orthant_probability(self._K, self._shift)
        return self._known[powers]

    def _by_parts(self, powers: tuple[int, ...]) -> Array:
        i = next(k for k, power in enumerate(powers) if power)
        rest = _lowered(powers, i)
        return np.asarray(sum(self._K[..., i, b] * self._differentiated(rest, b) for b in range(len(rest))))

    def _differentiated(self, powers: tuple[int, ...], b: int) -> Array:
        """E[d_b (prod_i z_i^{p_i} theta(z_i))]."""
        if powers[b]:
            return powers[b] * self.moment(_lowered(powers, b))
        if b not in self._given:
            self._given[b] = OrthantMoments(_given_zero(self._K, b), self._shift)
        return _density_at_zero(self._K[..., b, b]) * self._given[b].moment(powers[:b] + powers[b + 1 :])


def _lowered(powers: tuple[int, ...], i: int) -> tuple[int, ...]:
    return (*powers[:i], powers[i] - 1, *powers[i + 1 :])


def _density_at_zero(variance: Array) -> Array:
    safe = np.where(variance > 0, variance, np.inf)
    return np.asarray(1 / np.sqrt(2 * math.pi * safe))


def _given_zero(K: Array, b: int) -> Array:
    """Covariance of the other variables given z_b = 0."""
    keep = [k for k in range(K.shape[-1]) if k != b]
    before, column = K[..., keep, :][..., keep], K[..., keep, b]
    variance = np.where(K[..., b, b] > 0, K[..., b, b], 1.0)[..., None, None]
    given = before - column[..., :, None] * column[..., None, :] / variance
    fixed = _variances(given) <= _PARALLEL * _variances(before)
    return np.where(fixed[..., :, None] | fixed[..., None, :], 0.0, given)


def _variances(K: Array) -> Array:
    return np.diagonal(K, axis1=-2, axis2=-1)


def _correlations(K: Array) -> Array:
    """Correlation matrices; variables without variance count as uncorrelated."""
    sd = np.sqrt(_variances(K))
    scale = sd[..., :, None] * sd[..., None, :]
    R = np.divide(K, scale, out=np.zeros_like(K), where=scale > 0)
    return np.asarray(np.where(np.abs(R) > 1 - _ROUNDING, np.sign(R), R))


def _orthant_probability(K: Array, shift: float) -> Array:
    d = K.shape[-1]
    if d < 2:
        return np.full(K.shape[:-2], 0.5**d)
    R = _correlations(K)
    if d == 4:
        return _quadrant_probability_4(_least_correlated_first(R), shift)
    upper = np.triu_indices(d, 1)
    angles = np.arcsin(R[..., upper[0], upper[1]]).sum(axis=-1)
    return np.asarray(0.5**d + angles / (2 ** (d - 1) * math.pi))


def _least_correlated_first(R: Array) -> Array:
    """Variables reordered so that no near-parallel pair contains the first, which the path below would make singular."""
    largest = np.max(np.abs(R) - np.eye(R.shape[-1]), axis=-1)
    order = np.argsort(largest, axis=-1)
    rows = np.take_along_axis(R, order[..., :, None], axis=-2)
    return np.take_along_axis(rows, order[..., None, :], axis=-1)


def _quadrant_probability_4(R: Array, shift: float) -> Array:
    r"""P(z_0..z_3 > 0) by Plackett's formula along R(t), in which the correlations of z_0 are scaled by t.

    dP/dr_0j = (1 - r_0j^2)^{-1/2}/(2 pi) P(z_k, z_l > 0 | z_0 = z_j = 0), and P = P(z_1, z_2, z_3 > 0)/2 at t = 0.
    """
    t, w = _tanh_sinh(shift)
    start = _orthant_probability(R[..., 1:, 1:], shift) / 2
    total = np.zeros((*R.shape[:-2], t.size))
    r = R[..., None]  # a node axis
    for j, k, m in ((1, 2, 3), (2, 1, 3), (3, 1, 2)):
        rj, rk, rm = t * r[..., 0, j, :], t * r[..., 0, k, :], t * r[..., 0, m, :]
        jk, jm, km = r[..., j, k, :], r[..., j, m, :], r[..., k, m, :]
        det = np.maximum(1 - rj * rj, 1e-300)
        vk = 1 - (rk * rk + jk * jk - 2 * rj * rk * jk) / det
        vm = 1 - (rm * rm + jm * jm - 2 * rj * rm * jm) / det
        cov = km - (rk * rm + jk * jm - rj * (rk * jm + rm * jk)) / det
        scale = np.sqrt(np.maximum(vk, 0) * np.maximum(vm, 0))
        corr = np.clip(np.divide(cov, scale, out=np.zeros_like(cov), where=scale > 0), -1, 1)
        total += r[..., 0, j, :] / (2 * math.pi * np.sqrt(det)) * (0.25 + np.arcsin(corr) / (2 * math.pi))
    return np.asarray(start + total @ w)


@cache
def _tanh_sinh(shift: float) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1] of the double exponential rule, at ease with singular derivatives at the ends."""
    step = 0.0625
    x = (np.arange(-56, 57) + shift) * step
    s = math.pi / 2 * np.sinh(x)
    w = step * math.pi / 4 * np.cosh(x) / np.cosh(s) ** 2
    return 0.5 + 0.5 * np.tanh(s), w
