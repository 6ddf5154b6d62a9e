"""Posterior expectations over a few standard normal variables: a trapezoidal product rule, or randomized quasi-Monte Carlo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaincinv, gammaln, logsumexp, ndtri
from scipy.stats import qmc

from rgflow.errors import RgflowError
from rgflow.theory.initialization.contraction import Array

LogLikelihood = Callable[[Array], Array]  # (point, dimension) -> (point,)
MomentsOf = Callable[[Array], Array]  # (point, dimension) -> (point, number)

_PRODUCT_DIMENSIONS = 3
_NEGLIGIBLE = 38.0  # nats below the peak: 3e-17
_STEPS = (0.8, 0.55, 0.4, 0.28)  # in standard deviations of the integrand at its peak
_AGREE = 1e-11
_LARGEST_GRID = 2**22
_REPLICAS, _POINTS = 16, 2**12
_DEGREES = 6.0  # of freedom of the proposal: heavier tails than any integrand here


class Integral(NamedTuple):
    """Logarithm of the evidence and posterior means of the moments, each with an error; ``points`` that entered."""

    log_evidence: float
    log_evidence_error: float
    moments: Array
    moments_error: Array
    points: int


class _Peak(NamedTuple):
    """Where the integrand is largest, and the factor A A^T of its inverse curvature there: u = centre + A v."""

    centre: Array
    factor: Array

    def place(self, v: Array) -> Array:
        return np.asarray(self.centre + v @ self.factor.T)

    @property
    def log_volume(self) -> float:
        return float(np.sum(np.log(np.diag(self.factor))))


def posterior_expectation(log_likelihood: LogLikelihood, moments: MomentsOf, dimensions: int) -> Integral:
    """Average the moments over u ~ N(0, 1) weighted by the likelihood.

    Up to three dimensions by the trapezoidal rule in coordinates that whiten the peak, refined until shifted nodes agree to
    1e-11; errors are the differences to these. Beyond by scrambled Sobol points, drawn from a Student distribution around the
    peak; errors are standard errors over 16 independent scramblings.

    Parameters
    ----------
    log_likelihood
        Of points (point, dimension); may be -inf.
    moments
        Of points, as (point, number).
    dimensions
        Number of variables; 0 is allowed.

    Raises
    ------
    RgflowError
        An integrand that a product rule of four million nodes does not cover.
    """

    def log_integrand(u: Array) -> Array:
        return np.asarray(log_likelihood(u) - np.sum(u**2, axis=1) / 2 - dimensions / 2 * np.log(2 * np.pi))

    peak = _find_peak(log_integrand, dimensions)
    if dimensions <= _PRODUCT_DIMENSIONS:
        return _product_rule(log_integrand, moments, peak)
    return _randomized(log_integrand, moments, peak)


def _find_peak(log_integrand: LogLikelihood, dimensions: int) -> _Peak:
    if dimensions == 0:
        return _Peak(np.zeros(0), np.zeros((0, 0)))
    found = minimize(lambda u: -float(log_integrand(u[None])[0]), np.zeros(dimensions), method="BFGS", tol=1e-6)
    curvature, axes = np.linalg.eigh(_curvature(log_integrand, found.x))
    covariance = (axes / np.clip(curvature, 0.05, None)) @ axes.T
    return _Peak(found.x, np.linalg.cholesky(covariance))


def _curvature(log_integrand: LogLikelihood, centre: Array, step: float = 1e-3) -> Array:
    """Minus the second derivatives, by central differences."""
    shifts = step * np.eye(len(centre))
    pairs = [shifts[:, None] * i + shifts[None, :] * j for i in (1, -1) for j in (1, -1)]
    values = [log_integrand(centre + pair.reshape(-1, len(centre))).reshape(pair.shape[:2]) for pair in pairs]
    return np.asarray(-(values[0] - values[1] - values[2] + values[3]) / (4 * step**2))


def _product_rule(log_integrand: LogLikelihood, moments: MomentsOf, peak: _Peak) -> Integral:
    box = _box(log_integrand, peak)
    for step in _STEPS:
        found = _on_grid(log_integrand, moments, peak, _grid(box, step, 0.0), step)
        control = _on_grid(log_integrand, moments, peak, _grid(box, step / 1.15, 0.5), step / 1.15)
        log_error, error = abs(found.log_evidence - control.log_evidence), np.abs(found.moments - control.moments)
        if log_error < _AGREE and np.all(error <= _AGREE * np.abs(found.moments).max(initial=0.0)):
            break
    return found._replace(log_evidence_error=log_error, moments_error=error, points=found.points + control.points)


def _box(log_integrand: LogLikelihood, peak: _Peak) -> Array:
    """(dimension, 2) corners in v, grown until the integrand is negligible on all faces."""
    box = np.tile([-6.0, 6.0], (len(peak.centre), 1))
    while True:
        axes = _grid(box, 1.0, 0.0)
        values = log_integrand(peak.place(_nodes(axes))).reshape([len(axis) for axis in axes])
        ends = [(np.take(values, 0, k).max(), np.take(values, -1, k).max()) for k in range(len(axes))]
        open_ends = np.array(ends).reshape(-1, 2) > values.max() - _NEGLIGIBLE
        if not open_ends.any():
            return box
        box = np.where(open_ends, 1.25 * box, box)


def _grid(box: Array, step: float, shift: float) -> list[Array]:
    """Nodes (i + shift) step of every axis inside the box."""
    return [step * (np.arange(np.floor(low / step), np.ceil(high / step) + 1) + shift) for low, high in box]


def _nodes(axes: list[Array]) -> Array:
    """All combinations, (point, dimension)."""
    size = int(np.prod([len(axis) for axis in axes]))
    if size > _LARGEST_GRID:
        raise RgflowError(
            f"the exact posterior needs {size} nodes; allowed: {_LARGEST_GRID}. Try more noise or larger widths"
        )
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(size, len(axes)) if axes else np.zeros((1, 0))


def _on_grid(log_integrand: LogLikelihood, moments: MomentsOf, peak: _Peak, axes: list[Array], step: float) -> Integral:
    u = peak.place(_nodes(axes))
    log_weight = log_integrand(u) + peak.log_volume + len(axes) * np.log(step)
    kept = log_weight > log_weight.max() - _NEGLIGIBLE
    u, log_weight = u[kept], log_weight[kept]
    log_evidence = float(logsumexp(log_weight))
    mean = _weighted(moments, u, np.exp(log_weight - log_evidence))
    return Integral(log_evidence, 0.0, mean, np.zeros_like(mean), len(u))


def _weighted(moments: MomentsOf, u: Array, weight: Array) -> Array:
    """Sum over points, piece by piece: the moments of all points at once could be large."""
    pieces = [weight[piece] @ moments(u[piece]) for piece in _pieces(len(u))]
    return np.asarray(np.sum(pieces, axis=0))


def _pieces(count: int, size: int = 64) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _randomized(log_integrand: LogLikelihood, moments: MomentsOf, peak: _Peak) -> Integral:
    replicas = [_one_scrambling(log_integrand, moments, peak, seed) for seed in range(_REPLICAS)]
    logs = np.array([replica.log_evidence for replica in replicas])
    numbers = np.stack([replica.moments for replica in replicas])
    without = ~np.eye(_REPLICAS, dtype=bool)  # the jackknife: all replicas but one
    log_left = np.array([logsumexp(logs[row]) for row in without]) - np.log(_REPLICAS - 1)
    numbers_left = np.stack([_combined(logs[row], numbers[row]) for row in without])
    scale = np.sqrt(_REPLICAS - 1)
    return Integral(
        float(logsumexp(logs) - np.log(_REPLICAS)),
        float(scale * log_left.std()),
        _combined(logs, numbers),
        scale * numbers_left.std(axis=0),
        _REPLICAS * _POINTS,
    )


def _combined(logs: Array, numbers: Array) -> Array:
    weight = np.exp(logs - logsumexp(logs))
    return np.asarray(weight @ numbers)


def _one_scrambling(log_integrand: LogLikelihood, moments: MomentsOf, peak: _Peak, seed: int) -> Integral:
    d = len(peak.centre)
    uniform = qmc.Sobol(d + 1, scramble=True, rng=np.random.default_rng(seed)).random(_POINTS)
    radius = 2 * gammaincinv(_DEGREES / 2, uniform[:, -1:]) / _DEGREES
    v = ndtri(uniform[:, :-1]) / np.sqrt(radius)
    log_proposal = gammaln((_DEGREES + d) / 2) - gammaln(_DEGREES / 2) - d / 2 * np.log(_DEGREES * np.pi)
    log_proposal = log_proposal - (_DEGREES + d) / 2 * np.log1p(np.sum(v**2, axis=1) / _DEGREES)
    u = peak.place(v)
    log_weight = log_integrand(u) + peak.log_volume - log_proposal - np.log(_POINTS)
    log_evidence = float(logsumexp(log_weight))
    mean = _weighted(moments, u, np.exp(log_weight - log_evidence))
    return Integral(log_evidence, 0.0, mean, np.zeros_like(mean), _POINTS)
