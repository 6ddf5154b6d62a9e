"""Batched small linear algebra of the samplers: mixing rows, inner products, factors of singular covariances.

Rows are arrays (members, rows, neurons) in the dtype of the ensemble; N x N algebra is float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

# below this many products per member torch.bmm is a scalar loop, slower than whole-array operations
_LOOPED = 400


def normal_rows(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Independent standard normals of the given shape, on the generator's device."""
    return torch.empty(shape, dtype=dtype, device=generator.device).normal_(generator=generator)


def mix(coefficients: Tensor, rows: Tensor, add_to: Tensor | None = None) -> Tensor:
    """Combinations of rows, sum_b c_ab rows_b, added in place to ``add_to`` if given.

    Parameters
    ----------
    coefficients
        (members, A, B) float64.
    rows
        (members, B, n).
    add_to
        (members, A, n).
    """
    c = coefficients.to(rows.dtype)
    _, A, B = c.shape
    n = rows.shape[-1]
    if A * B * n >= _LOOPED:
        return torch.bmm(c, rows) if add_to is None else add_to.baddbmm_(c, rows)
    mixed = torch.zeros(len(rows), A, n, dtype=rows.dtype, device=rows.device) if add_to is None else add_to
    for a in range(A):
        for b in range(B):
            mixed[:, a].addcmul_(rows[:, b], c[:, a, b, None])
    return mixed


def inner(left: Tensor, right: Tensor) -> Tensor:
    """Inner products over neurons of (members, A, n) with (members, B, n): (members, A, B), as float64."""
    return products(left, right).double()


def products(left: Tensor, right: Tensor) -> Tensor:
    """The same inner products in the dtype of the rows, for callers that convert many at once."""
    if left.shape[1] == right.shape[1] == 1:
        return (left * right).sum(-1, keepdim=True)
    return torch.bmm(left, right.mT)


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
    if matrix.shape[-1] == 1:
        return matrix.clamp(min=0.0).sqrt()
    factor: Tensor
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
    if factor.shape[-1] == 1:
        return torch.where(factor == 0.0, torch.inf, factor).reciprocal()
    spans = factor.diagonal(dim1=1, dim2=2) != 0
    identity = torch.eye(factor.shape[-1], dtype=factor.dtype, device=factor.device).expand_as(factor)
    inverse: Tensor
    if bool(spans.all()):
        inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
        return inverse
    root = factor * spans[:, :, None] + torch.diag_embed((~spans).double())
    inverse = torch.linalg.solve_triangular(root, identity, upper=False)
    return inverse * (spans[:, None, :] & spans[:, :, None])
