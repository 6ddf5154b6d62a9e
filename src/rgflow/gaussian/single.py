"""Averages over one neuron and one input: z ~ N(0, K)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial.hermite_e import hermeval
from numpy.typing import ArrayLike

from rgflow.activations.registry import Activation, first_jump
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import Vector, normal_density, panel_rule, piecewise_edges, trapezoid_rule

_REACH = 12.5  # phi falls to 1e-34: room for the growth of products of polynomials
_NODES_AT_ONCE = 2**20


def single_mean(activation: Activation, orders: Sequence[int], K: ArrayLike) -> np.ndarray | float:
    r"""<prod_k sigma^{(orders[k])}(z)> for z ~ N(0, K), to about 1e-14 relative accuracy.

    Derivatives are meant in the sense of distributions: one factor may have a delta function at a kink, as in
    <sigma sigma''>; the other factors enter with the mean of their two sides.

    Parameters
    ----------
    orders
        Derivative order of each factor: (0, 0) is <sigma^2>, (0, 2) is <sigma sigma''>.
    K
        Variance(s) >= 0, a number or a 1-d array. At K = 0 the input is 0 for certain, and sigma'(0) at a kink is the one
        that networks use (0 for relu), not the limit of small K.

    Returns
    -------
    float or array
        Of the shape of K.

    Raises
    ------
    RgflowError
        K negative or not finite; a product of delta functions, or of their derivatives.
    """
    variances = np.atleast_1d(np.asarray(K, dtype=np.float64))
    if not np.all(np.isfinite(variances) & (variances >= 0)):
        raise RgflowError(f"single_mean of {activation.label}: K = {K!r}; allowed: finite, >= 0")
    means = np.full_like(variances, math.prod(activation.derivative(0.0, p) for p in orders))
    spread = variances[variances > 0]
    if spread.size:
        means[variances > 0] = _regular_mean(activation, orders, spread) + _delta_mean(activation, orders, spread)
    return means if np.ndim(K) else float(means[0])


def distribution_mean(activation: Activation, order: int, K: float) -> float:
    """<sigma^(order)>_K of one input, K > 0, any order: K^(-order/2) <He_order(u) sigma(sqrt(K) u)>, u standard normal."""
    u, w = kinked_rule(activation, K)
    hermite = hermeval(u, [0.0] * order + [1.0])
    return float(w @ (hermite * activation(math.sqrt(K) * u)) / math.sqrt(K) ** order)


def _regular_mean(activation: Activation, orders: Sequence[int], K: Vector) -> Vector:
    if any(activation.kinks):  # the panels follow kinks other than 0, which sit at different u for different K
        return np.concatenate(
            [_mean_on(activation, orders, k, *kinked_rule(activation, float(k[0]))) for k in K[:, None]]
        )
    u, w = (kinked_rule if activation.kinks else _smooth_rule)(activation, float(K.max()))
    rows = max(1, _NODES_AT_ONCE // u.size)
    return np.concatenate([_mean_on(activation, orders, K[i : i + rows], u, w) for i in range(0, K.size, rows)])


def _mean_on(activation: Activation, orders: Sequence[int], K: Vector, u: Vector, w: Vector) -> Vector:
    tower = activation.derivatives(np.sqrt(K)[:, None] * u, max(orders))
    return np.asarray(math.prod(tower[p] for p in orders) @ w)


def _smooth_rule(activation: Activation, K: float) -> tuple[Vector, Vector]:
    return trapezoid_rule(1 / max(2.5, 9 * math.sqrt(K) / activation.quadrature_radius), _REACH)


def kinked_rule(activation: Activation, K: float) -> tuple[Vector, Vector]:
    """Nodes u and weights for functions of sqrt(K) u that are smooth from kink to kink."""
    return line_rule(activation, (math.sqrt(K),))


def line_rule(activation: Activation, scales: Sequence[float]) -> tuple[Vector, Vector]:
    """Nodes u and weights for products of functions of s u, s in `scales`, each smooth from kink to kink."""
    largest = max(map(abs, scales))
    width = min(1.0, activation.analytic_radius / largest)
    breaks = [kink / s for s in scales for kink in activation.kinks]
    u, w = panel_rule(piecewise_edges(breaks, min(1 / largest, width), _REACH, width), 24)
    return u, w * normal_density(u)


def _delta_mean(activation: Activation, orders: Sequence[int], K: Vector) -> Vector:
    """The part of delta functions at kinks: density times jump times the mean of the other factors' two sides."""
    total = np.zeros_like(K)
    for kink in activation.kinks:
        below, above = activation.sides(kink, max(orders))
        singular = [k for k, p in enumerate(orders) if first_jump(below, above) < p]
        if not singular:
            continue
        others = [p for k, p in enumerate(orders) if k not in singular]
        p = orders[singular[0]]
        if len(singular) > 1 or first_jump(below, above) < p - 1:
            factors = " ".join(f"sigma^({order})" for order in orders)
            raise RgflowError(f"<{factors}> of {activation.label} does not exist: sigma jumps or bends at z = {kink:g}")
        sides = (math.prod(side[q] for q in others) for side in (below, above))
        density = normal_density(kink / np.sqrt(K)) / np.sqrt(K)
        total += density * (above[p - 1] - below[p - 1]) * sum(sides) / 2
    return total
