"""Gaussian integrals by counting: Wick contractions, moments and cumulants, and Hermite expansions (PDLT, chapter 1).

Public as ``rgflow.wick``. For zero-mean Gaussian variables with covariance K, moments are sums over pairings; for any
distribution moments and cumulants (connected correlators) are sums over set partitions of each other; and functions of two
Gaussian variables are averaged by expansions in Hermite polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import MAX_ORDER, Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import normal_density, panel_rule, piecewise_edges

Array = NDArray[np.float64]
Block = tuple[int, ...]
Partition = tuple[Block, ...]

_MOST_PAIRED, _MOST_PARTED, _MOST_COEFFICIENTS = 16, 12, 100_000  # beyond these memory ends: there are millions


@checked
def pairings(count: int) -> tuple[Partition, ...]:
    """All ways to pair `count` positions: (count - 1)!! of them, none if count is odd.

    Returns
    -------
    Pairings, each a tuple of pairs of positions 0..count-1.
    """
    _require(count, "count", 0, _MOST_PAIRED)
    return _all_pairings(count)


@cache
def _all_pairings(count: int) -> tuple[Partition, ...]:
    return tuple(_pairings(tuple(range(count))))


def _pairings(positions: Block) -> Iterator[Partition]:
    if not positions:
        yield ()
        return
    first, rest = positions[0], positions[1:]
    for k, partner in enumerate(rest):
        for pairing in _pairings(rest[:k] + rest[k + 1 :]):
            yield ((first, partner), *pairing)


@checked
def set_partitions(count: int) -> tuple[Partition, ...]:
    """All set partitions of positions 0..count-1, each block sorted."""
    _require(count, "count", 0, _MOST_PARTED)
    return _all_partitions(count)


@cache
def _all_partitions(count: int) -> tuple[Partition, ...]:
    return tuple(_partitions(tuple(range(count))))


def _partitions(positions: Block) -> Iterator[Partition]:
    if not positions:
        yield ()
        return
    last = positions[-1]
    for partition in _partitions(positions[:-1]):
        yield (*partition, (last,))
        for k, block in enumerate(partition):
            yield (*partition[:k], (*block, last), *partition[k + 1 :])


@checked
def wick_moment(K: ArrayLike, indices: Sequence[int]) -> float:
    """<z_{i1} ... z_{im}>_K for zero-mean Gaussian z: the sum over pairings of products of K.

    Parameters
    ----------
    K
        Covariance (N, N).
    indices
        i_1, ..., i_m, each from 0 to N - 1.

    Raises
    ------
    RgflowError
        K is not a square matrix, or an index is out of range.
    """
    covariance = _covariance(K)
    if any(not 0 <= index < len(covariance) for index in indices):
        raise RgflowError(f"indices = {list(indices)}; allowed: 0 to {len(covariance) - 1}")
    terms = (math.prod(covariance[indices[a], indices[b]] for a, b in pairing) for pairing in pairings(len(indices)))
    return float(sum(terms))


@checked
def gaussian_moment(K: ArrayLike, order: int) -> Array:
    """All moments <z_{a1} ... z_{a_order}>_K as a symmetric array with `order` axes.

    Parameters
    ----------
    K
        Covariance (N, N).
    order
        Number of variables, 0 or more.

    Raises
    ------
    RgflowError
        K is not a square matrix.
    """
    covariance = {2: _covariance(K)}
    if order == 0:
        return np.ones(())
    zero = np.zeros((len(covariance[2]),) * order)
    return sum((_outer(covariance, pairing, order) for pairing in pairings(order)), zero)


@checked
def cumulants_to_moments(cumulants: Mapping[int, Array]) -> dict[int, Array]:
    r"""Moments E[z_1 ... z_m] = sum over set partitions pi of prod_{b in pi} kappa_b.

    Parameters
    ----------
    cumulants
        By order m = 1, 2, ... without gaps: arrays with m axes of equal length.

    Returns
    -------
    dict
        Moments of the same orders and shapes.

    Raises
    ------
    RgflowError
        Orders with gaps, or an array whose axes do not match its order.
    """
    return _over_partitions(cumulants, lambda _: 1.0)


@checked
def moments_to_cumulants(moments: Mapping[int, Array]) -> dict[int, Array]:
    r"""Cumulants kappa_{1..m} = sum_pi (-1)^{|pi|-1} (|pi|-1)! prod_{b in pi} E[z_b]; undoes `cumulants_to_moments`.

    Parameters, shapes and errors are those of `cumulants_to_moments`.
    """
    return _over_partitions(moments, lambda blocks: (-1.0) ** (blocks - 1) * math.factorial(blocks - 1))


def _covariance(K: ArrayLike) -> Array:
    covariance = np.asarray(K, dtype=np.float64)
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise RgflowError(f"K has shape {covariance.shape}; allowed: (N, N)")
    return covariance


def _over_partitions(arrays: Mapping[int, Array], weight: Callable[[int], float]) -> dict[int, Array]:
    _check_orders(arrays)
    return {m: sum((weight(len(p)) * _outer(arrays, p, m) for p in set_partitions(m)), np.zeros(())) for m in arrays}


def _check_orders(arrays: Mapping[int, Array]) -> None:
    if sorted(arrays) != list(range(1, len(arrays) + 1)):
        raise RgflowError(f"moments or cumulants of orders {sorted(arrays)}; allowed: 1, 2, ... without gaps")
    sizes = {size for array in arrays.values() for size in array.shape}
    if len(sizes) > 1 or any(array.ndim != order for order, array in arrays.items()):
        raise RgflowError("moments or cumulants: the array of order m must have m axes, all of the same length")


def _outer(arrays: Mapping[int, Array], partition: Partition, order: int) -> Array:
    operands: list[Any] = [part for block in partition for part in (arrays[len(block)], list(block))]
    return np.asarray(np.einsum(*operands, list(range(order))))


@checked
def hermite_values(count: int, u: ArrayLike) -> Array:
    """Orthonormal probabilists' Hermite polynomials He_k(u)/sqrt(k!) for k < count.

    Returns
    -------
    Array (count, *u.shape).
    """
    _require(count, "count", 1, _MOST_COEFFICIENTS)
    x = np.asarray(u, dtype=np.float64)
    values = np.empty((count, *x.shape))
    for k in range(count):
        lower = math.sqrt(k - 1) * values[k - 2] if k > 1 else 0.0
        values[k] = (x * values[k - 1] - lower) / math.sqrt(k) if k else 1.0
    return values


@checked
def hermite_coefficients(activation: str | Activation, K: float, count: int, order: int = 0) -> Array:
    r"""Coefficients c_k = <sigma^(order)(sqrt(K) u) He_k(u)>/sqrt(k!), k < count, for standard normal u.

    Two inputs of variance K and correlation rho have <sigma_1 sigma_2> = sum_k c_k^2 rho^k, see `mehler_sum`.

    Parameters
    ----------
    activation
        Activation, or the name of a registered one.
    K
        Variance, positive.
    count
        Number of coefficients.
    order
        Order of the derivative of sigma.

    Raises
    ------
    RgflowError
        Unknown activation, or K that is not positive.
    """
    activation = find_activation(activation)
    _require(count, "count", 1, _MOST_COEFFICIENTS)
    _require(order, "order", 0, MAX_ORDER)
    if not K > 0:
        raise RgflowError(f"hermite_coefficients: K = {K!r}; allowed: > 0")
    sd = math.sqrt(K)
    reach = 12.5 + 2 * math.sqrt(count)  # He_k(u) phi(u)^(1/2) oscillates out to 2 sqrt(k)
    width = min(0.5, activation.quadrature_radius / sd, 4 / math.sqrt(count))
    if reach / min(width, 1 / sd) > _MOST_COEFFICIENTS:
        raise RgflowError(f"hermite_coefficients: K = {K!r}; so large that the activation is a step: too many nodes")
    edges = piecewise_edges([kink / sd for kink in activation.kinks], min(width, 1 / sd), reach, width)
    u, w = panel_rule(edges, 24)
    values = activation.derivative(sd * u, order) * np.sqrt(normal_density(u)) * w
    return np.asarray((hermite_values(count, u) * np.sqrt(normal_density(u))) @ values)


@checked
def mehler_sum(first: ArrayLike, second: ArrayLike, correlation: float) -> float:
    """<f(u) g(v)> = sum_k correlation^k f_k g_k for standard normal u, v from their Hermite coefficients.

    Parameters
    ----------
    first, second
        Coefficients of f and g as of `hermite_coefficients`, of one length.
    correlation
        Of u and v, between -1 and 1.
    """
    f, g = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if f.ndim != 1 or f.shape != g.shape or abs(correlation) > 1:
        raise RgflowError(
            f"coefficients of shapes {f.shape}, {g.shape}, correlation {correlation}; one length, at most 1"
        )
    return float(np.sum(f * g * correlation ** np.arange(f.size)))


def _require(value: int, name: str, least: int, most: int) -> None:
    if not least <= value <= most:
        raise RgflowError(f"{name} = {value}; allowed: {least} to {most}")
