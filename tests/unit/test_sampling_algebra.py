"""Small linear algebra of the samplers."""

from __future__ import annotations

import pytest
import torch

from rgflow.sampling.algebra import covariance_factor, generalized_inverse, inner, mix, tolerance

TOL = tolerance(torch.float64)


def random_rows(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def gram(members: int, N: int, rank: int) -> torch.Tensor:
    rows = random_rows(members, N, rank)
    return rows @ rows.mT


@pytest.mark.parametrize(("N", "rank"), [(1, 1), (3, 3), (4, 2), (5, 1), (6, 6)])
def test_factor_of_any_rank_reproduces_the_matrix(N: int, rank: int) -> None:
    matrix = gram(7, N, rank)
    factor = covariance_factor(matrix, TOL)
    torch.testing.assert_close(factor @ factor.mT, matrix)
    assert (factor.diagonal(dim1=1, dim2=2) != 0).sum(1).tolist() == [rank] * 7
    assert bool((factor.triu(1) == 0).all())


def test_ranks_may_differ_within_a_batch() -> None:
    matrix = torch.cat([gram(2, 3, 3), gram(2, 3, 1), torch.zeros(1, 3, 3, dtype=torch.float64)])
    factor = covariance_factor(matrix, TOL)
    torch.testing.assert_close(factor @ factor.mT, matrix)
    assert (factor.diagonal(dim1=1, dim2=2) != 0).sum(1).tolist() == [3, 3, 1, 1, 0]


def test_a_repeated_input_is_certain_given_the_first() -> None:
    rows = random_rows(5, 3, 8)[:, [0, 1, 0]]
    factor = covariance_factor(rows @ rows.mT, TOL)
    assert bool((factor[:, 2, 2] == 0).all())
    torch.testing.assert_close(factor[:, 2], factor[:, 0])


@pytest.mark.parametrize(("N", "rank"), [(3, 3), (4, 2), (5, 1)])
def test_generalized_inverse(N: int, rank: int) -> None:
    factor = covariance_factor(gram(7, N, rank), TOL)
    inverse = generalized_inverse(factor)
    torch.testing.assert_close(factor @ inverse @ factor, factor)
    spans = (factor.diagonal(dim1=1, dim2=2) != 0).double()
    torch.testing.assert_close(inverse @ factor, torch.diag_embed(spans))


@pytest.mark.parametrize("n", [2, 200])  # below and above the size where batched GEMMs take over
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mix_and_inner_agree_with_einsum(n: int, dtype: torch.dtype) -> None:
    rows, coefficients = random_rows(4, 3, n, dtype=dtype), random_rows(4, 2, 3)
    mixed = torch.einsum("mab,mbn->man", coefficients.to(dtype), rows)
    torch.testing.assert_close(mix(coefficients, rows), mixed)
    torch.testing.assert_close(mix(coefficients, rows, add_to=torch.ones_like(mixed)), mixed + 1)
    products = torch.einsum("man,mbn->mab", mixed.double(), rows.double())
    torch.testing.assert_close(inner(mixed, rows), products, rtol=1e-5, atol=1e-5 * n)
    assert inner(mixed, rows).dtype == torch.float64


def test_inner_of_single_rows() -> None:
    rows = random_rows(4, 1, 9)
    torch.testing.assert_close(inner(rows, rows)[:, 0, 0], rows.square().sum((1, 2)))
