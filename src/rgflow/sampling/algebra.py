"""Batched small linear algebra of the samplers: mixing rows, inner products, factors of singular covariances.

Rows are arrays (members, rows, neurons) in the dtype of the ensemble; N x N algebra is float64. Few rows on the CPU are
left to :mod:`rgflow.sampling.compiled`, all else to torch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rgflow.sampling import compiled

_FEW = 16  # rows up to which compiled loops are faster than matrix products


def normal_rows(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Independent standard normals of the given shape, on the generator's device."""
    return torch.empty(shape, dtype=dtype, device=generator.device).normal_(generator=generator)


def few_rows(rows: Tensor) -> bool:
    """Whether arrays of such rows (members, rows, any) are left to compiled loops."""
    return rows.device.type == "cpu" and rows.shape[1] <= _FEW


def array(tensor: Tensor) -> Any:
    """The numbers of a tensor, one behind the other, as compiled loops take them."""
    return tensor.contiguous().numpy()


def mix(coefficients: Tensor, rows: Tensor, add_to: Tensor | None = None) -> Tensor:
    """Combinations of rows, sum_b c_ab rows_b, added in place to ``add_to`` if given.

    Parameters
    ----------
    coefficients
        (members, A, B).
    rows
        (members, B, n).
    add_to
        (members, A, n).
    """
    if few_rows(rows):
        shape = (*coefficients.shape[:2], rows.shape[2])
        mixed = torch.empty(shape, dtype=rows.dtype) if add_to is None else add_to
        compiled.mix(array(coefficients), array(rows), add_to is not None, mixed.numpy())
        return mixed
    c = coefficients.to(rows.dtype)
    return torch.bmm(c, rows) if add_to is None else add_to.baddbmm_(c, rows)


def inner(left: Tensor, right: Tensor) -> Tensor:
    """Inner products over neurons of (members, A, n) with (members, B, n): (members, A, B), as float64."""
    if few_rows(left) and few_rows(right):
        products = torch.empty(len(left), left.shape[1], right.shape[1], dtype=torch.float64)
        compiled.inner(array(left), array(right), products.numpy())
        return products
    return torch.bmm(left, right.mT).double()


def tolerance(dtype: torch.dtype) -> float:
    """Relative conditional variance that rounding in ``dtype`` cannot tell from zero."""
    return 32 * float(torch.finfo(dtype).eps)


def covariance_factor(matrix: Tensor, tol: float) -> Tensor:
    """Lower-triangular L with L L^T = matrix, for positive semidefinite matrices of any rank.

    A column whose conditional variance is below ``tol`` times its variance is zero: given the columns before it, that
    variable is certain. No jitter is added.

    Parameters
    ----------
    matrix
        (members, N, N) float64, symmetric.
    """
    factor: Tensor
    if few_rows(matrix):
        factor = torch.empty(matrix.shape, dtype=matrix.dtype)
        compiled.covariance_factor(array(matrix), tol, factor.numpy())
        return factor
    factor, info = torch.linalg.cholesky_ex(matrix)
    certain = factor.diagonal(dim1=1, dim2=2).square() <= tol * matrix.diagonal(dim1=1, dim2=2)
    if bool(certain.any()) or bool(info.any()):
        singular = certain.any(1) | (info != 0)
        factor[singular] = _semidefinite_factor(matrix[singular], tol)
    return factor


def _semidefinite_factor(matrix: Tensor, tol: float) -> Tensor:
    factor = torch.zeros_like(matrix)
    for k in range(matrix.shape[-1]):
        column = matrix[:, k:, k] - torch.einsum("mjb,mb->mj", factor[:, k:, :k], factor[:, k, :k])
        pivot = column[:, 0]
        certain = ~(pivot > tol * matrix[:, k, k])
        factor[:, k:, k] = column * torch.where(certain, torch.inf, pivot).rsqrt()[:, None]
    return factor


def generalized_inverse(factor: Tensor) -> Tensor:
    """L^- of a factor of :func:`covariance_factor`: its inverse on the variables with a nonzero pivot, zero elsewhere.

    The variables with a nonzero pivot span all others. L L^- L = L, and L^- L is the projector on them.
    """
    inverse: Tensor
    if few_rows(factor):
        inverse = torch.empty(factor.shape, dtype=factor.dtype)
        compiled.generalized_inverse(array(factor), inverse.numpy())
        return inverse
    spans = factor.diagonal(dim1=1, dim2=2) != 0
    identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device).expand_as(factor)
    if not bool(spans.all()):
        factor = factor * spans[:, :, None] + torch.diag_embed((~spans).double())
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
    return inverse * (spans[:, None, :] & spans[:, :, None])
