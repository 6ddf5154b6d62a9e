"""Wick contractions, cumulants and Hermite tools."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.wick import (
    cumulants_to_moments,
    gaussian_moment,
    hermite_coefficients,
    hermite_values,
    mehler_sum,
    moments_to_cumulants,
    pairings,
    set_partitions,
    wick_moment,
)


def random_covariance(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, n + 2))
    return x @ x.T / n


def test_counts() -> None:
    assert [len(pairings(m)) for m in (2, 3, 4, 6, 8)] == [1, 0, 3, 15, 105]
    assert [len(set_partitions(m)) for m in (1, 2, 3, 4, 5, 6)] == [1, 2, 5, 15, 52, 203]


@pytest.mark.parametrize("order", [2, 4, 6])
def test_wick_against_cubature(order: int) -> None:
    K = random_covariance(2)
    u, w = np.polynomial.hermite_e.hermegauss(8)
    z = np.linalg.cholesky(K) @ np.array([np.repeat(u, 8), np.tile(u, 8)])
    weight = np.outer(w, w).ravel() / (2 * math.pi)
    indices = [0, 1, 1, 0, 0, 1][:order]
    exact = float(np.prod(z[indices], axis=0) @ weight)
    assert wick_moment(K, indices) == pytest.approx(exact, rel=1e-12)
    assert gaussian_moment(K, order)[tuple(indices)] == pytest.approx(exact, rel=1e-12)


def test_odd_gaussian_moments_vanish() -> None:
    assert not gaussian_moment(random_covariance(2), 3).any()
    assert wick_moment(random_covariance(2), (0, 1, 1)) == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 3))
def test_cumulants_invert_moments(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    cumulants = {m: _symmetrized(rng.normal(size=(n,) * m)) for m in range(1, 6)}
    back = moments_to_cumulants(cumulants_to_moments(cumulants))
    for m, array in cumulants.items():
        np.testing.assert_allclose(back[m], array, atol=1e-10 * (1 + abs(array).max()) ** 5)


def _symmetrized(array: np.ndarray) -> np.ndarray:
    from itertools import permutations

    orders = list(permutations(range(array.ndim)))
    return sum(array.transpose(p) for p in orders) / len(orders)


def test_cumulants_of_an_exponential_variable() -> None:
    moments = {m: np.full((1,) * m, float(math.factorial(m))) for m in range(1, 7)}
    cumulants = moments_to_cumulants(moments)
    assert [float(cumulants[m].squeeze()) for m in cumulants] == pytest.approx([math.factorial(m - 1) for m in moments])


def test_cumulants_need_every_order() -> None:
    with pytest.raises(RgflowError, match="without gaps"):
        moments_to_cumulants({2: np.eye(2)})
    with pytest.raises(RgflowError, match="m axes"):
        moments_to_cumulants({1: np.zeros(2), 2: np.eye(3)})


def test_hermite_polynomials_are_orthonormal() -> None:
    u, w = np.polynomial.hermite_e.hermegauss(30)
    values = hermite_values(20, u)
    np.testing.assert_allclose((values * w / math.sqrt(2 * math.pi)) @ values.T, np.eye(20), atol=1e-12)


def test_hermite_coefficients_of_relu() -> None:
    """relu(u) = 1/sqrt(2 pi) + u/2 + He_2(u)/(2 sqrt(2 pi)) - He_4(u)/(24 sqrt(2 pi)) + ..."""
    found = hermite_coefficients(activation("relu"), 1.0, 5)
    root = math.sqrt(2 * math.pi)
    np.testing.assert_allclose(
        found, [1 / root, 0.5, math.sqrt(2) / (2 * root), 0, -math.sqrt(24) / (24 * root)], atol=1e-15
    )


@pytest.mark.parametrize("name", ["tanh", "gelu", "swish", "relu"])
@pytest.mark.parametrize("order", [0, 1])
def test_mehler_sum_is_the_pair_mean(name: str, order: int) -> None:
    x, y, c = 0.8, 1.5, 0.5
    act = activation(name)
    first, second = (hermite_coefficients(act, K, 100, order) for K in (x, y))
    pair = Expectations(act, [[x, c], [c, y]], rtol=1e-13).pair(order)[0, 1]
    assert mehler_sum(first, second, c / math.sqrt(x * y)) == pytest.approx(pair, rel=1e-12)
