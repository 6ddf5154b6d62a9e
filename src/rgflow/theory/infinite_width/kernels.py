"""Infinite-width K and Theta of thousands of inputs: block by block through all layers, as lazily evaluated matrices."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial
from itertools import combinations_with_replacement
from operator import itemgetter
from typing import Any, Literal, get_args
from uuid import uuid4

import dask.array as da
import numpy as np
import xarray as xr

from rgflow.calls import checked
from rgflow.compute.tasks import check_workers
from rgflow.errors import RgflowError
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.theory.infinite_width.accuracy import certified_plan
from rgflow.theory.infinite_width.apart import Block
from rgflow.theory.infinite_width.plan import Plan
from rgflow.theory.infinite_width.semidefinite import positive_semidefinite, slices

Precision = Literal["float32", "float64"]

_BLOCK = 192  # inputs: a dozen temporaries of a block of pairs fit the second-level cache
_LARGEST_TILE = 4 * _BLOCK  # a file of 2.4 or 4.7 MB
_TILES = 8  # along a side, if the tile is not at its largest: enough for several workers

Means = tuple[Block, Block]


@checked
def infinite_width_theory(
    network: Network, inputs: Inputs, precision: Precision = "float64", workers: int = 1
) -> xr.Dataset:
    """K and Theta of the last layer for many inputs, in memory (PDLT, chapters 4, 8 and 10).

    Besides the two matrices and half a matrix for the check of positivity, O(N) numbers per layer and a few tiles per
    worker are held. :func:`rgflow.stream_infinite_width` writes the matrices to a store instead.

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
    the pair averages, 0 for closed forms) and those of :func:`certificate`.

    Raises
    ------
    RgflowError
        Unusable inputs, an activation with kinks that is not scale-invariant, an expansion that does not converge,
        fewer than one worker, or a result that is not finite.
    """
    check_workers(workers)
    lazy = lazy_infinite_width(network, inputs, precision)
    matrices = {name: np.empty(array.shape, array.dtype) for name, array in lazy.data_vars.items()}
    sources = [lazy[name].data for name in matrices]
    da.store(sources, list(matrices.values()), lock=False, scheduler="threads", num_workers=workers)
    result = lazy.copy(data=matrices)
    return result.assign_attrs(certificate(result, {}))


def lazy_infinite_width(network: Network, inputs: Inputs, precision: Precision = "float64") -> xr.Dataset:
    """The same dataset as dask arrays, to be evaluated tile by tile by whoever stores it; no certificate yet.

    A tile above the diagonal and its mirror image are chunks of both matrices and are calculated together, once, when all
    is stored in one go. Same parameters and errors as :func:`infinite_width_theory`, the last error upon evaluation.
    """
    if precision not in get_args(Precision):
        raise RgflowError(f"precision = {precision!r}; allowed: {', '.join(get_args(Precision))}")
    plan = certified_plan(network, inputs, precision)
    samples, dims = np.arange(len(plan.inputs)), ("sample_1", "sample_2")
    return xr.Dataset(
        {name: (dims, matrix) for name, matrix in zip(("K", "Theta"), _lazy_matrices(plan), strict=True)},
        dict.fromkeys(dims, samples),
        {"expansion_error": plan.error},
    )


def certificate(kernels: xr.Dataset, scratch: MutableMapping[int, Block]) -> dict[str, Any]:
    """Attributes that say whether kernels are positive semidefinite, and how that was found.

    Parameters
    ----------
    kernels
        Symmetric matrices, in memory or in an open store, which is read block by block.
    scratch
        Takes the factor, see :func:`rgflow.theory.infinite_width.semidefinite.positive_semidefinite`.

    Returns
    -------
    ``<name>_positive_semidefinite``, 1 or 0, for each variable, and ``positive_semidefinite_check``.
    """
    found = {
        f"{name}_positive_semidefinite": int(positive_semidefinite(matrix, scratch, _LARGEST_TILE))
        for name, matrix in kernels.data_vars.items()
    }
    return {**found, "positive_semidefinite_check": "Cholesky factor of M + N eps max|M_aa|, block by block"}


def _lazy_matrices(plan: Plan) -> tuple[da.Array, da.Array]:
    """K and Theta in tiles; those below the diagonal are transposed from above."""
    pieces = slices(len(plan.inputs), _tile_size(len(plan.inputs)))
    tile, *matrices = [f"{name}-{uuid4().hex}" for name in ("tile", "K", "Theta")]
    calculate, graph = partial(_tile, plan), dict[Any, Any]()
    for (i, rows), (j, cols) in combinations_with_replacement(enumerate(pieces), 2):
        graph[tile, i, j] = (calculate, rows, cols)
        for which, name in enumerate(matrices):
            graph[name, j, i] = (_mirrored, (tile, i, j), which)
            graph[name, i, j] = (itemgetter(which), (tile, i, j))
    chunks = (tuple(piece.stop - piece.start for piece in pieces),) * 2
    K, Theta = (da.Array(graph, name, chunks, plan.inputs.dtype) for name in matrices)  # type: ignore[no-untyped-call]
    return K, Theta


def _mirrored(means: Means, which: int) -> Block:
    return means[which].T


def _tile_size(count: int) -> int:
    """Inputs along a side of a tile, in whole blocks."""
    return min(_LARGEST_TILE, max(1, count // (_TILES * _BLOCK)) * _BLOCK)


def _tile(plan: Plan, rows: slice, cols: slice) -> Means:
    """K and Theta in the last layer for the pairs of a tile on or above the diagonal, calculated in blocks."""
    K, Theta = np.empty((2, rows.stop - rows.start, cols.stop - cols.start), plan.inputs.dtype)
    across = slices(len(K[0]), _BLOCK)
    for i, down in enumerate(slices(len(K), _BLOCK)):
        for right in across[i if rows == cols else 0 :]:
            means = _block(plan, _shifted(down, rows.start), _shifted(right, cols.start))
            K[down, right], Theta[down, right] = means
    return (_symmetric(K), _symmetric(Theta)) if rows == cols else (K, Theta)


def _symmetric(upper: Block) -> Block:
    """The symmetric matrix of an upper triangle, to the last bit."""
    return np.asarray(np.triu(upper) + np.triu(upper, 1).T)


def _shifted(piece: slice, start: int) -> slice:
    return slice(start + piece.start, start + piece.stop)


def _block(plan: Plan, rows: slice, cols: slice) -> Means:
    K, Theta, apart = plan.first(rows, cols)
    for layer in plan.layers:
        K, Theta, apart = layer.next(rows, cols, K, Theta, apart)
    if not (np.isfinite(K).all() and np.isfinite(Theta).all()):
        raise RgflowError("K or Theta is not finite: the network is far from criticality")
    return K, Theta
