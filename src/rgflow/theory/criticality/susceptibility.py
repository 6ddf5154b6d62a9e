"""Susceptibilities: how the kernel of one input, and the difference of two inputs, grow from layer to layer.

With g(K) = <sigma^2>_K every susceptibility is a K-derivative of the mean square of sigma or of sigma',

    chi_parallel = C_W g'(K),   chi_perp = C_W <sigma'^2>_K,   h = (1/2) d chi_perp / dK,

and a K-derivative is half a second z-derivative under the average. Kinks of sigma enter exactly, as the point sources
that the jumps of the integrand leave in those z-derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermeval
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation, first_jump
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import normal_density
from rgflow.gaussian.single import regular_means

Array = NDArray[np.float64]

_BISECTIONS = 26
_TINY = 1e-300  # stands for K = 0 in averages of kinked activations


def chi_parallel(sigma: str | Activation, C_W: ArrayLike, K: ArrayLike) -> Array:
    """Parallel susceptibility chi_parallel = C_W d<sigma^2>_K/dK = C_W <sigma'^2 + sigma sigma''>_K.

    Parameters
    ----------
    sigma
        Activation, or the name of a registered one.
    C_W
        Weight variance (times the width), broadcast against `K`.
    K
        Kernel of one input, >= 0 (> 0 if sigma has a kink at 0), any shape.

    Raises
    ------
    RgflowError
        Negative `K`, or K = 0 if sigma has a kink at 0.
    """
    return np.asarray(np.asarray(C_W) * mean_square(sigma, 0, K, derivative=1))


def chi_perp(sigma: str | Activation, C_W: ArrayLike, K: ArrayLike) -> Array:
    """Perpendicular susceptibility chi_perp = C_W <sigma'^2>_K; parameters as for `chi_parallel`."""
    return np.asarray(np.asarray(C_W) * mean_square(sigma, 1, K))


def h(sigma: str | Activation, C_W: ArrayLike, K: ArrayLike) -> Array:
    """Helper function h = (1/2) d chi_perp/dK, the source of K[2] from K[1]^2; parameters as for `chi_parallel`."""
    return np.asarray(np.asarray(C_W) * mean_square(sigma, 1, K, derivative=1) / 2)


def correlation_depth(chi: ArrayLike) -> Array:
    """Depth xi = -1 / ln|chi| over which a perturbation decays as e^(-l/xi).

    Negative where the perturbation grows, infinite at |chi| = 1, and 0 at chi = 0.
    """
    chi = np.abs(np.asarray(chi, dtype=np.float64))
    with np.errstate(divide="ignore"):
        return np.asarray(-1.0 / np.log(chi) + 0.0)  # + 0.0: no negative zero


def mean_square(sigma: str | Activation, order: int, K: ArrayLike, derivative: int = 0) -> Array:
    """K-derivative d^k/dK^k <f>_K of f = (sigma^(p))^2, computed as 2^-k <d^(2k)f/dz^(2k)>_K.

    Parameters
    ----------
    sigma
        Activation, or the name of a registered one.
    order
        The order p of the z-derivative of sigma; ``order + 2 * derivative`` may be at most 5.
    K
        Kernel, >= 0, any shape. K = 0 is the limit from above, also of sigma' at a kink at 0.
    derivative
        The number k of K-derivatives.

    Returns
    -------
    Array of the shape of `K`; infinite where sigma^(p-1) jumps, since f then holds a delta function squared.

    Raises
    ------
    RgflowError
        Negative or infinite `K`, or a K-derivative at K = 0 of a sigma with a kink at 0.
    """
    return np.asarray(kernel_derivatives(sigma, ((order, derivative),), K)[0])


def kernel_derivatives(sigma: str | Activation, which: Sequence[tuple[int, int]], K: ArrayLike) -> Array:
    """`mean_square` of several (order, derivative), (which, *K.shape): they share nodes and derivatives of sigma."""
    sigma = activation(sigma)
    variance = np.asarray(K, dtype=np.float64)
    if not np.all(np.isfinite(variance) & (variance >= 0.0)):
        raise RgflowError(f"K = {K!r}: a kernel must be finite and not negative")
    if 0.0 in sigma.kinks and any(derivative for _, derivative in which) and not np.all(variance > 0.0):
        raise RgflowError(f"K = 0: activation {sigma.label} has a kink at 0, so K-derivatives need K > 0")
    flat = variance.ravel()
    means = np.full((len(which), flat.size), np.inf)
    finite = [k for k, (order, _) in enumerate(which) if not order or discontinuity(sigma, order - 1) is None]
    terms = [(k, *term) for k in finite for term in _leibniz(which[k][0], 2 * which[k][1])]
    means[finite] = 0.0
    if terms:
        regular = regular_means(sigma, [orders for _, _, orders in terms], np.maximum(flat, _TINY))
        for (k, weight, _), mean in zip(terms, regular, strict=True):
            means[k] += weight * mean
    for k in finite:
        order, derivative = which[k]
        for kink in sigma.kinks:
            means[k, flat > 0.0] += _point_sources(sigma, order, 2 * derivative, kink, flat[flat > 0.0])
        means[k] /= 2**derivative
    return means.reshape(len(which), *variance.shape)


def discontinuity(sigma: Activation, order: int = 0) -> float | None:
    """First kink at which sigma^(order) or a lower derivative jumps; None if it is continuous."""
    return next((kink for kink in sigma.kinks if first_jump(*sigma.sides(kink, order)) <= order), None)


def dips(values: Array) -> NDArray[np.bool_]:
    """Intervals of an even grid in which values of one sign may come back to 0: (..., n) -> (..., n - 1).

    The cubic through four neighbours falls there below half of both ends.
    """
    found = np.zeros((*values.shape[:-1], values.shape[-1] - 1), dtype=bool)
    first, low, high, last = (values[..., k : values.shape[-1] - 3 + k] for k in range(4))
    t = np.arange(1, 8).reshape(-1, *(1,) * values.ndim) / 8
    cubic = (
        -t * (1 - t) * (2 - t) / 6 * first
        + (1 + t) * (1 - t) * (2 - t) / 2 * low
        + t * (1 + t) * (2 - t) / 2 * high
        - t * (1 + t) * (1 - t) / 6 * last
    )
    ends = np.minimum(np.abs(low), np.abs(high))
    found[..., 1:-1] = (low * high > 0.0) & (np.min(np.sign(low) * cubic, axis=0) < ends / 2)
    return found


def turning_points(slope: Callable[[Array, Any], Array], low: Array, high: Array) -> tuple[Array, NDArray[np.intp]]:
    """Where slopes rise through 0 between kernels `low` and `high`, to a millionth: by bisection, all at once.

    Parameters
    ----------
    slope
        (kernels, numbers of the intervals) -> slopes there.
    low, high
        Ends of the intervals.

    Returns
    -------
    Turning points, and the numbers of the intervals that have one.
    """
    every = np.arange(low.size)
    which = every[(slope(low, every) < 0.0) & (slope(high, every) > 0.0)] if low.size else every
    low, high = low[which], high[which]
    for _ in range(_BISECTIONS if which.size else 0):
        middle = (low + high) / 2
        rising = slope(middle, which) > 0.0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return (low + high) / 2, which


def _leibniz(order: int, count: int) -> list[tuple[int, tuple[int, int]]]:
    """Terms (weight, (p, q)) of the `count`-th derivative of (sigma^(order))^2 = sum weight sigma^(p) sigma^(q)."""
    half = [(order + i, order + count - i) for i in range(count // 2 + 1)]
    return [(math.comb(count, i) * (1 if p == q else 2), (p, q)) for i, (p, q) in enumerate(half)]


def _point_sources(sigma: Activation, order: int, count: int, kink: float, K: Array) -> Array:
    """What the jumps of f = (sigma^(order))^2 at a kink add to <d^count f/dz^count>_K.

    Each jump of f^(j) at z = k is a source (d/dz)^i delta(z - k), i = count - 1 - j, whose average is
    (-1)^i phi_K^(i)(k) = He_i(k / sqrt K) K^(-i/2) phi_K(k), with phi_K the density of N(0, K).
    """
    z = kink / np.sqrt(K)
    density = normal_density(z) / np.sqrt(K)
    below, above = (np.asarray(side) for side in sigma.sides(kink, order + count))
    total = np.zeros_like(K)
    for j in range(count):
        jump = sum(weight * (above[p] * above[q] - below[p] * below[q]) for weight, (p, q) in _leibniz(order, j))
        if jump:
            i = count - 1 - j
            total += jump * hermeval(z, [0.0] * i + [1.0]) * K ** (-i / 2) * density
    return total
