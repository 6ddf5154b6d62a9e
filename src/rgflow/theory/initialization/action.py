"""Nearly-Gaussian actions of the neurons in a layer (PDLT, chapters 1 and 4). Public as ``rgflow.action``.

Couplings from correlators and back, how they run with the number of neurons, and first-order averages.

For m neurons of one layer, p(z) ~ exp(-S) with

    S = 1/2 sum g^{ab} z_a.z_b - 1/8 sum v^{(ab)(cd)} (z_a.z_b)(z_c.z_d),   z_a.z_b = sum_{i<=m} z_{i;a} z_{i;b},

to first order in the vertex V/n. Sample indices are raised with the inverse metric. The correlators G, V of a layer do
not depend on how many of its neurons one looks at; the couplings do, and g runs with m.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.arrays import require_shape
from rgflow.calls import checked
from rgflow.errors import RgflowError

Array = NDArray[np.float64]
Observable = Callable[[Array], Array]

_NODES = 48  # Gauss-Hermite nodes per input


@dataclass(frozen=True, eq=False)
class Action:
    """Action of m neurons and N inputs.

    Attributes
    ----------
    g
        Quadratic coupling g^{ab}, shape (N, N).
    v
        Quartic coupling v^{(ab)(cd)}, shape (N, N, N, N), of order 1/n.
    neurons
        The number m of neurons.
    """

    g: Array
    v: Array
    neurons: int

    def __call__(self, z: ArrayLike) -> Array:
        """Value of S for preactivations of shape (..., m, N)."""
        z = np.asarray(z, dtype=np.float64)
        if z.shape[-2:] != (self.neurons, len(self.g)):
            raise RgflowError(f"z of shape {z.shape}; the action needs (..., {self.neurons}, {len(self.g)})")
        dots = np.einsum("...ia,...ib->...ab", z, z)
        quadratic = np.einsum("ab,...ab->...", self.g, dots)
        return np.asarray(quadratic / 2 - np.einsum("abcd,...ab,...cd->...", self.v, dots, dots) / 8)


@checked
def couplings(G: ArrayLike, V: ArrayLike, width: float, neurons: int) -> Action:
    """Action whose correlators are the metric G and the vertex V/n, to first order.

    g^{ab} = G^{ab} + (1/n) sum [m/2 V^{(ab)(cd)} + V^{(ac)(bd)}] G_cd and v^{(ab)(cd)} = V^{(ab)(cd)}/n.

    Parameters
    ----------
    G
        Exact two-point function K + G1/n of one neuron, shape (N, N), positive definite; a number for one input.
    V
        Vertex without its prefactor 1/n, shape (N, N, N, N); a number for one input.
    width
        Width n = n_{l-1} of the layer before.
    neurons
        Number m of neurons; the expansion needs m << n.

    Raises
    ------
    RgflowError
        Shapes that do not fit, a singular or indefinite `G`, `neurons` < 1 or a `width` that is not positive.
    """
    metric, vertex = _inputs(G, V, width)
    if neurons < 1:
        raise RgflowError(f"neurons = {neurons}; at least one is needed")
    inverse = _inverse(metric)
    v = _transport(vertex / width, inverse)
    return Action(inverse + _contract(v, metric, neurons), v, neurons)


@checked
def correlators(action: Action) -> tuple[Array, Array]:
    """Metric G and vertex V/n of an action, to first order in v: undoes `couplings` up to second order.

    G_ab = (g^-1)_ab + sum [m/2 v_(ab)(cd) + v_(ac)(bd)] g^{cd} with the indices of v lowered by g^-1.

    Returns
    -------
    (G, V/n) of shapes (N, N) and (N, N, N, N).
    """
    propagator = _inverse(action.g)
    vertex = _transport(action.v, propagator)
    return propagator + _contract(vertex, action.g, action.neurons), vertex


@checked
def marginalize(action: Action, neurons: int) -> Action:
    """Action of fewer neurons, the others integrated out: the running of the quadratic coupling.

    Each neuron shifts g^{ab} by -1/2 sum v^{(ab)(cd)} (g^-1)_cd, and leaves v unchanged, to first order.

    Raises
    ------
    RgflowError
        `neurons` not between 1 and the number of neurons of `action`.
    """
    if not 1 <= neurons <= action.neurons:
        raise RgflowError(f"neurons = {neurons}; allowed: 1 to {action.neurons}")
    shift = np.einsum("abcd,cd->ab", action.v, _inverse(action.g)) / 2
    return replace(action, g=action.g - (action.neurons - neurons) * shift, neurons=neurons)


@checked
def density_ratio(z: ArrayLike, K: ArrayLike, G1: ArrayLike, V: ArrayLike, width: float) -> Array:
    """Density of one neuron over N(0, K), to first order: 1 + G1.He_2/(2n) + V.He_4/(8n).

    He_2 and He_4 are the Hermite tensors of N(0, K), with indices up; integrating an observable against them gives
    <d_a d_b f> and <d_a d_b d_c d_d f>.

    Parameters
    ----------
    z
        Preactivations, shape (..., N).
    K
        Kernel, shape (N, N), positive definite; a number for one input.
    G1, V
        Correction of the metric and vertex, without 1/n, shapes (N, N) and (N, N, N, N); numbers for one input.
    width
        Width n = n_{l-1} of the layer before.

    Returns
    -------
    Array of shape (...).

    Raises
    ------
    RgflowError
        As `couplings`.
    """
    kernel, vertex = _inputs(K, V, width)
    inverse = _inverse(kernel)
    points, shift = np.asarray(z, dtype=np.float64), np.atleast_2d(np.asarray(G1, dtype=np.float64))
    require_shape("z", points, (len(kernel),))
    require_shape("G1", shift, kernel.shape)
    y = points @ inverse
    second = _hermite_2(y, inverse)
    correction = np.einsum("ab,...ab->...", shift, second)
    # V.He_4 = V.(He_2 He_2) - 4 V^(ac)(bd).K^ac y_b y_d + 2 V_(ab)(cd) K^ac K^bd, by the pair symmetries of V
    crossed = np.einsum("abcd,ac->bd", vertex, inverse)
    quartic = np.einsum("abcd,...ab,...cd->...", vertex, second, second)
    quartic -= 4 * np.einsum("bd,...b,...d->...", crossed, y, y) - 2 * np.einsum("bd,bd->", crossed, inverse)
    return np.asarray(1.0 + correction / (2 * width) + quartic / (8 * width))


@checked
def mean(f: Observable, K: ArrayLike, G1: ArrayLike, V: ArrayLike, width: float) -> float:
    """E[f(z_i)] = <f>_K + <d d f>.G1/(2n) + <d d d d f>.V/(8n), first order.

    Parameters
    ----------
    f
        Smooth observable of one neuron: takes preactivations (points, N), returns (points,).
    K, G1, V, width
        As for `density_ratio`; Gauss-Hermite quadrature on a product grid, so N is at most 3.

    Raises
    ------
    RgflowError
        As `couplings`, or more than 3 inputs.
    """
    z, weights = _grid(K)
    return float(np.sum(weights * f(z) * density_ratio(z, K, G1, V, width)))


@checked
def covariance(f: Observable, h: Observable, K: ArrayLike, V: ArrayLike, width: float) -> float:
    """Cov(f(z_i), h(z_j)) = <d d f>.V.<d d h>/(4n) for two neurons i != j of a layer, first order; as for `mean`."""
    kernel, vertex = _inputs(K, V, width)
    z, weights = _grid(kernel)
    inverse = _inverse(kernel)
    second = _hermite_2(z @ inverse, inverse)
    df, dh = (np.einsum("p,pab->ab", weights * observable(z), second) for observable in (f, h))
    return float(np.einsum("ab,abcd,cd->", df, vertex, dh)) / (4 * width)


def _inputs(metric: ArrayLike, vertex: ArrayLike, width: float) -> tuple[Array, Array]:
    G = np.atleast_2d(np.asarray(metric, dtype=np.float64))
    count = len(G)
    V = np.asarray(vertex, dtype=np.float64)
    V = V.reshape(1, 1, 1, 1) if V.ndim == 0 else V
    if G.shape != (count, count) or V.shape != (count,) * 4:
        raise RgflowError(f"metric of shape {G.shape} with vertex of shape {V.shape}; allowed: (N, N) and (N, N, N, N)")
    if not width > 0:
        raise RgflowError(f"width = {width}; it must be positive")
    if np.linalg.eigvalsh(G)[0] <= 0.0:
        raise RgflowError("metric is not positive definite; leave out repeated or linearly dependent inputs")
    return G, V


def _inverse(metric: Array) -> Array:
    return np.asarray(np.linalg.inv(metric), dtype=np.float64)


def _transport(vertex: Array, metric: Array) -> Array:
    """All four indices of a vertex raised or lowered."""
    return np.asarray(np.einsum("pqrs,ap,bq,cr,ds->abcd", vertex, metric, metric, metric, metric, optimize=True))


def _contract(vertex: Array, metric: Array, neurons: int) -> Array:
    """Sum of [m/2 V_(ab)(cd) + V_(ac)(bd)] metric_cd."""
    return np.asarray(neurons / 2 * np.einsum("abcd,cd->ab", vertex, metric) + np.einsum("acbd,cd->ab", vertex, metric))


def _hermite_2(y: Array, inverse: Array) -> Array:
    """He_2^{ab} = y^a y^b - K^{ab} with y = K^-1 z."""
    return np.asarray(y[..., :, None] * y[..., None, :] - inverse)


def _grid(K: ArrayLike) -> tuple[Array, Array]:
    """Nodes (points, N) and weights of a product Gauss-Hermite rule for N(0, K)."""
    kernel = np.atleast_2d(np.asarray(K, dtype=np.float64))
    count = len(kernel)
    if count > 3:
        raise RgflowError(f"{count} inputs; averages of an observable on a product grid are for at most 3")
    u, w = np.polynomial.hermite_e.hermegauss(_NODES)
    axes = np.meshgrid(*[u] * count, indexing="ij")
    weights = np.prod(np.meshgrid(*[w / w.sum()] * count, indexing="ij"), axis=0)
    return np.stack(axes, axis=-1).reshape(-1, count) @ np.linalg.cholesky(kernel).T, weights.ravel()
