"""Whether a large symmetric matrix is positive semidefinite: a Cholesky factorization block row by block row."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy.linalg import solve_triangular

Block = npt.NDArray[Any]


def positive_semidefinite(matrix: Block | xr.DataArray, factor: MutableMapping[int, Block], width: int) -> bool:
    """Whether M + N eps max|M_aa| has a Cholesky factor, eps being the rounding of M's precision.

    If so, no eigenvalue of M lies below -2 N eps max|M_aa|, up to a constant of order one. It takes N^3/3 multiplications
    in M's precision. In memory are a few blocks of ``width`` rows and columns and two block rows of the factor; blocks on and
    below the diagonal of M are read once.

    Parameters
    ----------
    matrix
        (N, N), symmetric; may be a variable of an open store.
    factor
        Takes the block rows of the factor by number, N^2/2 numbers in all: a dictionary, or what keeps them in files.
    width
        Rows and columns of a block, best those of the chunks in which the matrix is stored.
    """
    blocks = slices(len(matrix), width)
    diagonal = np.concatenate([np.diagonal(_read(matrix, rows, rows)) for rows in blocks])
    shift = len(matrix) * np.finfo(diagonal.dtype).eps * np.abs(diagonal).max()
    for i, rows in enumerate(blocks):
        row = np.empty((rows.stop - rows.start, rows.stop), dtype=diagonal.dtype)
        for j, cols in enumerate(blocks[:i]):
            above = factor[j]
            rest = _read(matrix, rows, cols) - row[:, : cols.start] @ above[:, : cols.start].T
            row[:, cols] = solve_triangular(above[:, cols], rest.T, lower=True, check_finite=False).T
        pivot = _read(matrix, rows, rows) - row[:, : rows.start] @ row[:, : rows.start].T
        pivot[np.diag_indices_from(pivot)] += shift
        try:
            row[:, rows] = np.linalg.cholesky(pivot)
        except np.linalg.LinAlgError:
            return False
        if not np.isfinite(row).all():  # of a matrix with NaN
            return False
        factor[i] = row
    return True


def _read(matrix: Block | xr.DataArray, rows: slice, cols: slice) -> Block:
    return np.asarray(matrix[rows, cols])


def slices(count: int, width: int) -> list[slice]:
    """0..count cut into pieces of ``width``, the last one shorter."""
    return [slice(start, min(start + width, count)) for start in range(0, count, width)]
