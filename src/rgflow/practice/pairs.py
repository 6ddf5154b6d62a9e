"""Pair averages of any continuous activation, dozens of inputs in milliseconds, for advice rather than for tests of theory.

Smooth and scale-invariant activations use the averages of infinite width. Others are expanded in the correlation, too, where
kinks make coefficients fall slowly: c_k(a) c_k(b) ~ k^-p, p = 3/2 for sigma', which jumps, and 5/2 for sigma. The sum of the
coefficients left out is known, for it is that of equal inputs, <sigma sigma>, minus the sum of those kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from rgflow.activations.activation import Activation
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.nodes import Vector
from rgflow.gaussian.single import line_rule, single_mean
from rgflow.theory.infinite_width.apart import apart_of
from rgflow.theory.infinite_width.dual import dual
from rgflow.theory.infinite_width.mehler import ExpansionError, horner

Array = NDArray[np.float64]

_DEGREE = 256  # of the expansion of kinked activations
_RTOL, _ROUGH = 1e-8, 1e-6


def pair_means(sigma: Activation, K: Array) -> tuple[Array, Array, float]:
    """<sigma_a sigma_b> and <sigma'_a sigma'_b> under N(0, K), and their estimated relative error.

    Parameters
    ----------
    sigma
        A continuous activation.
    K
        Kernel (N, N), positive semidefinite.
    """
    variance = K.diagonal().copy()
    if sigma.kinks and sigma.slopes is None:
        ss, dd, error = _kinked(sigma, K)
    else:
        ss, dd, error = _smooth(sigma, K, variance)
    np.fill_diagonal(ss, np.asarray(single_mean(sigma, (0, 0), variance)))
    np.fill_diagonal(dd, np.asarray(single_mean(sigma, (1, 1), variance)))
    return ss, dd, error


def _smooth(sigma: Activation, K: Array, variance: Array) -> tuple[Array, Array, float]:
    """As at infinite width; by certified quadrature where the kernel is so large that the expansion would be too long."""
    everything, deviation = slice(None), np.sqrt(variance)
    try:
        averages = dual(sigma, variance, _RTOL)
    except ExpansionError:
        certified = Expectations(sigma, K, _ROUGH)
        return certified.pair(0), certified.pair(1), certified.error
    ss, dd, _ = averages(everything, everything, K, apart_of(K, deviation, deviation))
    return ss, dd, _RTOL


def _kinked(sigma: Activation, K: Array) -> tuple[Array, Array, float]:
    """Both averages; the error is the change from half the degree, which is larger than what remains, or, as kinks away from 0
    are at different u for inputs of different norm and their tails out of phase, all of the tail there.
    """
    deviation = np.sqrt(K.diagonal())
    u, w = line_rule(sigma, np.unique(deviation[deviation > 0.0]).tolist())
    hermite = _hermite(u) * w
    rho = np.clip(K / np.maximum(np.outer(deviation, deviation), np.finfo(float).tiny), -1.0, 1.0)
    out_of_phase = any(sigma.kinks) & ~np.isclose(deviation[:, None], deviation)
    means, error = [], 0.0
    for order, values in enumerate(sigma.value_and_derivative(deviation[:, None] * u)):
        coefficients, total = hermite @ values.T, values**2 @ w
        (mean, tail), (coarse, _) = (
            _summed(coefficients[:degree], rho, total, _TAILS[order]) for degree in (_DEGREE, _DEGREE // 2)
        )
        means.append(mean)
        uncertain = np.maximum(np.abs(mean - coarse), tail * out_of_phase)
        error = max(error, float(uncertain.max() / np.abs(mean).max()))
    return means[0], means[1], error


def _summed(coefficients: Array, rho: Array, total: Array, tail: Callable[[Array], Array]) -> tuple[Array, Array]:
    """sum_k c_k(a) c_k(b) rho^k, and the part of it that is beyond the degree: the tail of equal inputs."""
    rest = np.sqrt(np.maximum(total - (coefficients**2).sum(axis=0), 0.0))
    depth = -len(coefficients) * np.log(np.maximum(rho, 1e-300))
    beyond = np.asarray(np.outer(rest, rest) * tail(depth))
    return horner(coefficients, coefficients, rho) + beyond, beyond


def _slope_tail(x: Array) -> Array:
    """sum over k > D of k^-3/2 rho^k over its value at rho = 1, for large D: x = -D ln(rho)."""
    return np.asarray(np.exp(-x) - np.sqrt(math.pi * x) * erfc(np.sqrt(x)))


def _value_tail(x: Array) -> Array:
    """The same of k^-5/2."""
    return np.asarray(np.exp(-x) - 2.0 * x * _slope_tail(x))


_TAILS = (_value_tail, _slope_tail)


def _hermite(u: Vector) -> Array:
    """Normalized Hermite polynomials h_k(u), (degree, node)."""
    h = np.empty((_DEGREE, len(u)))
    h[0], h[1] = 1.0, u
    for k in range(1, _DEGREE - 1):
        h[k + 1] = (u * h[k] - math.sqrt(k) * h[k - 1]) / math.sqrt(k + 1)
    return h
