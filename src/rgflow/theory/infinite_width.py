"""Infinite-width K and Theta of thousands of inputs: block by block through all layers, in threads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import xarray as xr
from scipy.linalg import lapack

from rgflow.errors import RgflowError
from rgflow.gaussian.single import single_mean
from rgflow.inputs import Inputs, checked_inputs
from rgflow.network import Network
from rgflow.theory.dual import Block, Dual, dual

Precision = Literal["float32", "float64"]

_TILE = 192  # a dozen temporaries of a block fit the second-level cache
_TILES_AHEAD = 4
_LARGEST_IN_MEMORY = 2**30  # bytes of one matrix
_TOLERANCE = {"float32": 1e-6, "float64": 1e-10}


class Tile(NamedTuple):
    """K and Theta in the last layer for a block of pairs; blocks above the diagonal only, the rest is symmetric."""

    rows: slice
    cols: slice
    K: Block
    Theta: Block


def infinite_width_theory(
    network: Network, inputs: Inputs, precision: Precision = "float64", workers: int = 1
) -> xr.Dataset:
    """K and Theta of the last layer for many inputs.

    Besides the result itself only O(N) numbers per layer and a few blocks per worker are held. Matrices beyond 1 GiB are
    mapped to temporary files (in the folder TMPDIR), so that memory stays bounded; the files vanish with the result.

    Parameters
    ----------
    network
        Network with a scale-invariant or smooth activation; widths other than n_0 do not matter.
    inputs
        (sample, feature) array of N inputs.
    precision
        Of the calculation and the result.
    workers
        Threads. Keep the linear algebra library at one thread each.

    Returns
    -------
    Dataset with K and Theta on ``sample_1``, ``sample_2``; attributes ``expansion_error`` (largest relative error of
    the pair averages, 0 for closed forms) and ``K_positive_semidefinite``, ``Theta_positive_semidefinite``: whether
    the matrix plus N times the rounding error of its largest entry has a Cholesky factor.

    Raises
    ------
    RgflowError
        Unusable inputs, an activation with kinks that is not scale-invariant, an expansion that does not converge, or
        a result that is not finite.
    """
    plan = _plan(network, inputs, precision)
    result = {name: _square_matrix(len(plan.inputs), precision) for name in ("K", "Theta")}
    for tile in _tiles(plan, workers):
        for matrix, block in zip(result.values(), (tile.K, tile.Theta), strict=True):
            matrix[tile.rows, tile.cols] = block
            matrix[tile.cols, tile.rows] = block.T
    attributes: dict[str, Any] = {"expansion_error": plan.error}
    for name, matrix in result.items():
        attributes[f"{name}_positive_semidefinite"] = int(positive_semidefinite(matrix))
    samples = np.arange(len(plan.inputs))
    dims = ("sample_1", "sample_2")
    return xr.Dataset(
        {name: (dims, matrix) for name, matrix in result.items()}, dict.fromkeys(dims, samples), attributes
    )


def infinite_width_tiles(
    network: Network, inputs: Inputs, precision: Precision = "float64", workers: int = 1
) -> Iterator[Tile]:
    """The same block by block, for results that do not fit in memory; same parameters and errors."""
    return _tiles(_plan(network, inputs, precision), workers)


def _square_matrix(count: int, precision: Precision) -> Block:
    """An (N, N) matrix to fill, in memory or, if it is large, in a file that has no name and ends with the matrix."""
    shape = (count, count)
    if np.dtype(precision).itemsize * count**2 <= _LARGEST_IN_MEMORY:
        return np.empty(shape, dtype=precision)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype=precision, mode="w+", shape=shape)


def positive_semidefinite(matrix: Block) -> bool:
    """Whether a symmetric (N, N) matrix plus N eps max|diagonal| has a Cholesky factor.

    The factor overwrites the upper triangle for the moment, which is restored: no second matrix is held.
    """
    diagonal = matrix.diagonal().copy()
    np.fill_diagonal(matrix, diagonal + len(matrix) * np.finfo(matrix.dtype).eps * np.abs(diagonal).max())
    factor = lapack.spotrf if matrix.dtype == np.float32 else lapack.dpotrf
    _, info = factor(matrix.T, lower=1, overwrite_a=1, clean=0)  # the lower triangle of the transpose, in its order
    for row in range(len(matrix)):
        matrix[row, row + 1 :] = matrix[row + 1 :, row]
    np.fill_diagonal(matrix, diagonal)
    return bool(info == 0)


@dataclass(frozen=True)
class _Layer:
    """One step l -> l+1: pair averages, their values for equal inputs, hyperparameters of layer l+1."""

    averages: Dual
    ss_diagonal: Block
    dd_diagonal: Block
    C_b: float
    C_W: float
    lambda_b: float
    lambda_W: float


@dataclass(frozen=True)
class _Plan:
    """All that a block needs: inputs scaled so that their products are x . x / n_0, first layer, later layers."""

    inputs: Block
    network: Network
    layers: tuple[_Layer, ...]
    error: float


def _plan(network: Network, inputs: Inputs, precision: Precision) -> _Plan:
    x = checked_inputs(network, inputs)
    x /= np.sqrt(x.shape[1])
    variance = network.C_b[0] + network.C_W[0] * np.einsum("ai,ai->a", x, x)
    layers, errors = [], [0.0]
    for layer in range(1, network.depth):
        averages, error = dual(network.activation, variance.astype(precision), _TOLERANCE[precision])
        with np.errstate(over="ignore"):  # reported below
            ss, dd = (_diagonal(network, variance, order) for order in (0, 1))
            variance = network.C_b[layer] + network.C_W[layer] * ss
        hyperparameters = (values[layer] for values in (network.C_b, network.C_W, network.lambda_b, network.lambda_W))
        layers.append(_Layer(averages, ss.astype(precision), dd.astype(precision), *hyperparameters))
        errors.append(error)
        if not np.isfinite(variance).all():
            raise RgflowError(f"K is not finite at layer {layer + 1}: the network is far from criticality")
    return _Plan(x.astype(precision, copy=False), network, tuple(layers), max(errors))


def _diagonal(network: Network, variance: Block, order: int) -> Block:
    """<sigma^(order) sigma^(order)> of each input with itself."""
    slopes = network.activation.slopes
    if slopes is None:
        return np.asarray(single_mean(network.activation, (order, order), variance))
    mean_square = (slopes[0] ** 2 + slopes[1] ** 2) / 2.0
    return mean_square * variance if order == 0 else np.where(variance > 0, mean_square, slopes[0] ** 2)


def _tiles(plan: _Plan, workers: int) -> Iterator[Tile]:
    """Tiles on and above the diagonal, computed a few per worker ahead of their use."""
    starts = range(0, len(plan.inputs), _TILE)
    places = [(slice(i, i + _TILE), slice(j, j + _TILE)) for i in starts for j in starts if i <= j]
    batch = _TILES_AHEAD * workers
    with ThreadPoolExecutor(workers) as threads:
        for first in range(0, len(places), batch):
            yield from threads.map(lambda place: _tile(plan, *place), places[first : first + batch])


def _tile(plan: _Plan, rows: slice, cols: slice) -> Tile:
    network = plan.network
    gram = plan.inputs[rows] @ plan.inputs[cols].T
    K, Theta = network.C_b[0] + network.C_W[0] * gram, network.lambda_b[0] + network.lambda_W[0] * gram
    for layer in plan.layers:
        ss, dd = layer.averages(rows, cols, K)
        if rows == cols:
            np.fill_diagonal(ss, layer.ss_diagonal[rows])
            np.fill_diagonal(dd, layer.dd_diagonal[rows])
        K = layer.C_b + layer.C_W * ss
        Theta = layer.lambda_b + layer.lambda_W * ss + layer.C_W * dd * Theta
    if not (np.isfinite(K).all() and np.isfinite(Theta).all()):
        raise RgflowError("K or Theta is not finite: the network is far from criticality")
    return Tile(rows, cols, K, Theta)
