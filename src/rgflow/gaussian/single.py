"""Averages over one neuron and one input: z ~ N(0, K)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.polynomial.hermite_e import hermeval
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation, first_jump
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import Vector, normal_density, panel_rule, piecewise_edges, trapezoid_rule

_REACH = 12.5  # phi falls to 1e-34: room for the growth of products of polynomials
_NODES_AT_ONCE = 2**20
_MOST_NODES = 2**21  # 16 MiB for one function of one input
_PANEL_NODES = 24
_COARSEST, _FINE = 2.5, 9.0  # nodes per standard deviation, at least and per length over which sigma varies
_BAND = 4.0  # ratio of kernels that share nodes
_REFINEMENTS = (1.0, 2.0, 4.0, 8.0, 16.0)
_GOOD_ERROR, _LARGEST_ERROR, _ROUNDING = 1e-12, 1e-10, 2e-15  # relative to the mean modulus
_SMALLEST_MEAN = 1e-290
Orders = Sequence[int]


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
        K negative or not finite; a product of delta functions, or of their derivatives; an estimated error above 1e-10, as of
        an activation of the user's that is sharper than it declares.
    """
    variances = np.atleast_1d(np.asarray(K, dtype=np.float64))
    if not np.all(np.isfinite(variances) & (variances >= 0)):
        raise RgflowError(f"single_mean of {activation.label}: K = {K!r}; allowed: finite, >= 0")
    (means,) = single_means(activation, (orders,), variances)
    return means if np.ndim(K) else float(means[0])


def single_means(activation: Activation, products: Sequence[Orders], K: Vector) -> Vector:
    """`single_mean` of several products at kernels K >= 0, (product, kernel): they share nodes and derivatives."""
    means = np.empty((len(products), K.size))
    for row, orders in zip(means, products, strict=True):
        row[:] = math.prod(activation.derivative(0.0, p) for p in orders)
    spread = K[K > 0]
    if spread.size:
        delta = [_delta_mean(activation, orders, spread) for orders in products]
        means[:, K > 0] = regular_means(activation, products, spread) + delta
    return means


def distribution_mean(activation: Activation, order: int, K: float) -> float:
    """<sigma^(order)>_K of one input, K > 0, any order: K^(-order/2) <He_order(u) sigma(sqrt(K) u)>, u standard normal."""
    u, w = kinked_rule(activation, K)
    hermite = hermeval(u, [0.0] * order + [1.0])
    return float(w @ (hermite * activation(math.sqrt(K) * u)) / math.sqrt(K) ** order)


def regular_means(activation: Activation, products: Sequence[Orders], K: Vector) -> Vector:
    """`single_means` for K > 0 without the delta functions at kinks.

    Raises
    ------
    RgflowError
        The estimated error is above 1e-10 of the mean modulus, however fine the nodes.
    """
    if not K.size:
        return np.empty((len(products), 0))
    means: Vector
    means, errors, modulus = estimated_means(activation, products, K)
    if _unresolved(means, errors, _LARGEST_ERROR * modulus).any():
        worst = np.unravel_index(np.argmax(errors / np.maximum(modulus, _SMALLEST_MEAN)), errors.shape)
        raise RgflowError(
            f"Gaussian means of {activation.label} at K = {K[worst[1]]:.3g}: estimated relative error "
            f"{errors[worst] / modulus[worst]:.1e}; scale the inputs down, or declare the kinks or analytic_radius"
        )
    return means


def estimated_means(activation: Activation, products: Sequence[Orders], K: Vector) -> Vector:
    """Means of the regular part for K > 0, bounds of their errors, and the means of the modulus, which is their scale.

    Nodes are made denser until the estimated error is below 1e-12 of that scale. A rule with half the nodes has the error
    delta. As errors fall exponentially with the number of nodes, that of the whole rule is below delta^2 in units of the scale.

    Returns
    -------
    (3, product, kernel).
    """
    if any(activation.kinks):  # the panels follow kinks other than 0, which sit at different u for different K
        return np.concatenate([_refined_means(activation, products, k) for k in K[:, None]], axis=-1)
    found = np.empty((3, len(products), K.size))
    for band in _bands(K, activation.quadrature_radius):
        found[:, :, band] = _refined_means(activation, products, K[band])
    return found


def _bands(K: Vector, radius: float) -> Iterator[NDArray[np.intp]]:
    """Places of kernels that share nodes: those of the largest would be wasted on much smaller ones."""
    coarse = (_COARSEST * radius / _FINE) ** 2  # below, all take the coarsest nodes
    size, left = np.maximum(K, coarse), np.arange(K.size)
    while left.size:
        near = _BAND * size[left] >= size[left].max()
        yield left[near]
        left = left[~near]


def _refined_means(activation: Activation, products: Sequence[Orders], K: Vector) -> Vector:
    found, rough = np.empty((3, len(products), K.size)), np.ones(K.size, dtype=bool)
    for refinement in _REFINEMENTS:
        u, w = _rule(activation, float(K[rough].max()), refinement)
        if u.size > _MOST_NODES and refinement > 1.0:
            break
        found[:, :, rough] = _means_on(activation, products, K[rough], u, w)
        rough = np.any(_unresolved(found[0], found[1], _GOOD_ERROR * found[2]), axis=0)
        if not rough.any():
            break
    return found


def _unresolved(means: Vector, errors: Vector, allowed: Vector) -> NDArray[np.bool_]:
    """Where an error is above what is allowed; means that overflow are left to whoever reads them."""
    return np.isfinite(means) & (errors > allowed + _SMALLEST_MEAN)


def _rule(activation: Activation, K: float, refinement: float) -> tuple[Vector, Vector]:
    if activation.kinks:
        return line_rule(activation, (math.sqrt(K),), refinement)
    step = 1 / (refinement * max(_COARSEST, _FINE * math.sqrt(K) / activation.quadrature_radius))
    if step < 2 * _REACH / _MOST_NODES:
        raise _too_many_nodes(activation, K)
    return trapezoid_rule(step, _REACH)


def _too_many_nodes(activation: Activation, K: float) -> RgflowError:
    return RgflowError(
        f"Gaussian means of {activation.label} at K = {K:.3g} need more than {_MOST_NODES} nodes; scale the inputs "
        "down, or choose C_b and C_W closer to criticality"
    )


def _means_on(activation: Activation, products: Sequence[Orders], K: Vector, u: Vector, w: Vector) -> Vector:
    """Means, errors and moduli: (3, product, kernel)."""
    summed = _panel_sums if activation.kinks else _trapezoid_sums
    rows, parts = max(1, _NODES_AT_ONCE // u.size), []
    for here in (K[i : i + rows] for i in range(0, K.size, rows)):
        tower = activation.derivatives(np.sqrt(here)[:, None] * u, max(map(max, products)))
        with np.errstate(over="ignore", invalid="ignore"):  # of kernels that explode, which is reported with the layer
            sums = [summed(np.asarray(math.prod(tower[p] for p in orders)), w) for orders in products]
            mean, delta, modulus = np.stack(sums, axis=1)
            relative = delta / np.maximum(modulus, _SMALLEST_MEAN)
            parts.append((mean, modulus * (10 * relative * relative + _ROUNDING), modulus))
    return np.concatenate(parts, axis=-1)


def _trapezoid_sums(values: Vector, w: Vector) -> tuple[Vector, Vector, Vector]:
    """The sum, the difference between the rule of the even and that of the odd nodes, and the sum of the modulus."""
    alternating = w.copy()
    alternating[1::2] *= -1.0
    return values @ w, 2 * np.abs(values @ alternating), np.abs(values) @ w


def _panel_sums(values: Vector, w: Vector) -> tuple[Vector, Vector, Vector]:
    """The sum, the highest two Legendre polynomials in the integrand, which are those that half the nodes would miss, and
    the sum of the modulus."""
    weighted = values * w
    highest = weighted.reshape(len(weighted), -1, _PANEL_NODES) @ _highest_legendre()
    return weighted.sum(axis=1), np.abs(highest).sum(axis=(1, 2)), np.abs(values) @ w


@cache
def _highest_legendre() -> Vector:
    """(k + 1/2) P_k at the nodes of a panel for the two highest degrees k that they resolve, (nodes, 2)."""
    x, _ = np.polynomial.legendre.leggauss(_PANEL_NODES)
    degrees = np.array([_PANEL_NODES - 2, _PANEL_NODES - 1])
    return np.asarray(np.polynomial.legendre.legvander(x, _PANEL_NODES - 1)[:, degrees] * (degrees + 0.5))


def kinked_rule(activation: Activation, K: float) -> tuple[Vector, Vector]:
    """Nodes u and weights for functions of sqrt(K) u that are smooth from kink to kink."""
    return line_rule(activation, (math.sqrt(K),))


def line_rule(activation: Activation, scales: Sequence[float], refinement: float = 1.0) -> tuple[Vector, Vector]:
    """Nodes u and weights for products of functions of s u, s in `scales`, each smooth from kink to kink."""
    largest = max(map(abs, scales))
    width = min(1.0, activation.analytic_radius / largest) / refinement
    breaks = [kink / s for s in scales for kink in activation.kinks]
    if width < 2 * _REACH * _PANEL_NODES / _MOST_NODES:
        raise _too_many_nodes(activation, largest**2)
    u, w = panel_rule(piecewise_edges(breaks, min(1 / (refinement * largest), width), _REACH, width), _PANEL_NODES)
    return u, w * normal_density(u)


def _delta_mean(activation: Activation, orders: Orders, K: Vector) -> Vector:
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
