"""The four-point vertex contracted with given matrices, for more inputs than its N^4 entries allow.

Contracted with Y, the recursion of V becomes one of matrices: with Y' in the next layer and Y = J0^T Y' in this one,

    V'Y' = C_W^2 {Cov(s_a s_b, q) + rho J0 . (V Y)},   q = sum_cd Y'_cd s_c s_d,

so Y goes from the output to the first layer, then V Y from the first layer to the output. The covariance is a mean over
nodes, a matrix product over N x nodes x N for every Y, with the second-order controls of
:mod:`rgflow.gaussian.randomized`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.gaussian.node_sums import correlated_nodes
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array, pair_contraction
from rgflow.theory.initialization.engines import RANDOMIZATIONS, node_key, require_nodes, share
from rgflow.theory.initialization.finite_width import mean_and_error
from rgflow.theory.initialization.kernel import first_kernel, next_kernel
from rgflow.theory.initialization.step import Step


def contracted_vertex(
    network: Network, inputs: Inputs, Y: npt.ArrayLike, *, nodes: int = 2**14, seed: int = 0
) -> xr.Dataset:
    """Sum over c, d of V_(ab)(cd) Y_cd in the output layer, for hundreds of inputs.

    Parameters
    ----------
    network
        The network, without skip connections; of its widths only ratios enter.
    inputs
        (sample, feature) array of N inputs.
    Y
        Matrices (contraction, N, N); only their symmetric part matters.
    nodes
        Number of nodes in each layer, a power of two.
    seed
        Key of the randomization.

    Returns
    -------
    Dataset with ``VY`` (contraction, sample_1, sample_2), times n_{L-1} as V, and its standard error ``VY_error``, see
    :func:`rgflow.theory.initialization.finite_width.mean_and_error`.

    Raises
    ------
    RgflowError
        Unusable inputs, matrices that do not fit them, a residual network, nodes that are not a power of two, or a pair average
        that cannot be evaluated.
    """
    network.require_plain("a contracted vertex")
    require_nodes(nodes)
    gram = input_gram(network, inputs)
    matrices = _checked(Y, len(gram))
    layers = _layers(network, gram, matrices, nodes, seed)
    start = np.zeros_like(matrices)
    return mean_and_error(_contracted(network, layers, start, key) for key in _keys(nodes, seed))


class _Layer(NamedTuple):
    """What is known of one layer before nodes are drawn; `Y` belongs to the next layer, `pulled` = J0^T Y to this one."""

    K: Array
    step: Step
    b: Array
    Y: Array
    pulled: Array


def _checked(Y: npt.ArrayLike, N: int) -> Array:
    matrices = np.asarray(Y, dtype=np.float64)
    if matrices.ndim != 3 or matrices.shape[1:] != (N, N) or not np.isfinite(matrices).all():
        raise RgflowError(f"Y has shape {matrices.shape}; allowed: finite numbers (contraction, {N}, {N})")
    return (matrices + matrices.swapaxes(1, 2)) / 2


def _layers(network: Network, gram: Array, Y: Array, nodes: int, seed: int) -> list[_Layer]:
    """All layers but the last, from the first on."""
    K, found = first_kernel(network, gram), []
    for number in range(1, network.depth):
        shared = share(network, number, K, nodes, seed)
        step = Step(network, number, shared.exact)
        found.append((K, step, shared.control.coefficients(0, 0)))
        K = next_kernel(step)
    layers = []
    for K, step, b in reversed(found):
        pulled = np.array([_pulled_back(step.J0, matrix) for matrix in Y])
        layers.append(_Layer(K, step, b, Y, pulled))
        Y = pulled
    return layers[::-1]


def _pulled_back(J: Array, Y: Array) -> Array:
    """J^T Y, the matrix by which Y_ab J_ab . T is the sum over c, d of (J^T Y)_cd T_cd, for symmetric Y and T."""
    J_aa, J_ab, J_bb = np.moveaxis(J, -1, 0)
    return np.asarray(J_ab * Y) + np.diag((J_aa * Y).sum(axis=1) + (J_bb * Y).sum(axis=0))


class _Key(NamedTuple):
    """What fixes one randomization."""

    nodes: int
    seed: int
    number: int


def _keys(nodes: int, seed: int) -> Iterator[_Key]:
    return (_Key(nodes // RANDOMIZATIONS, seed, number) for number in range(RANDOMIZATIONS))


def _contracted(network: Network, layers: list[_Layer], VY: Array, key: _Key) -> xr.Dataset:
    """V Y of the output layer from that of the first, with one set of nodes in each layer."""
    for number, layer in enumerate(layers, start=1):
        z = correlated_nodes(layer.K, key.nodes, node_key(key.seed, number, key.number))
        s = network.activation_of(number)(z)
        covariance = np.array([_covariance(layer, z, s, *pair) for pair in zip(layer.Y, layer.pulled, strict=True)])
        carried = np.array([pair_contraction(layer.step.J0, matrix) for matrix in VY])
        VY = layer.step.C_W**2 * (covariance + layer.step.rho * carried)
    return xr.Dataset({"VY": (("contraction", "sample_1", "sample_2"), VY)})


def _covariance(layer: _Layer, z: Array, s: Array, Y: Array, pulled: Array) -> Array:
    """Cov(s_a s_b, q) for one Y, corrected as in :mod:`rgflow.gaussian.randomized`."""
    K, J = layer.K, layer.step.J0
    q, q_2 = _form(Y, s), _form(pulled, z) - np.sum(pulled * K)
    exact = 2 * K @ pulled @ K
    left, both = (pair_contraction(J, _moment(z, f) - K * f.mean() - exact) for f in (q, q_2))
    right = _moment(s, q_2) - pair_contraction(J, exact)
    uncorrected = _moment(s, q) - layer.step.ss * np.sum(Y * layer.step.ss)
    return np.asarray(uncorrected - np.tensordot(layer.b, np.stack([left, right, both]), axes=1))


def _form(Y: Array, s: Array) -> Array:
    """Sum over c, d of Y_cd s_c s_d at every node."""
    return np.asarray(np.einsum("cn,cn->n", s, Y @ s))


def _moment(s: Array, q: Array) -> Array:
    """Mean over nodes of s_a s_b q: (N, N)."""
    return np.asarray((s * q) @ s.T / q.size)
