"""Expectations of several inputs against closed forms, brute force, finite differences and symmetries."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.orthant import OrthantMoments
from rgflow.gaussian.wick import wick_moment

ORDERS = [(0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 0, 1), (1, 1, 1, 1)]
SMOOTH = ["tanh", "gelu", "swish", "erf", "sin", "mish", "softplus", "snake"]


def covariance(n: int, features: int = 6, seed: int = 0, bias: float = 0.1) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, features))
    return bias + x @ x.T / features


def cubature_moment(name: str, K: np.ndarray, orders: tuple[int, ...], step: float = 0.3) -> np.ndarray:
    """<s_a s_b s_c s_d> on one plain product grid in the eigenbasis, another route altogether."""
    act = activation(name)
    values, vectors = np.linalg.eigh(K)
    u = np.arange(-7.5, 7.5 + step / 2, step)
    w = step * np.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    grid = np.array(np.meshgrid(*[u] * len(K), indexing="ij")).reshape(len(K), -1)
    weight = np.prod(np.meshgrid(*[w] * len(K), indexing="ij"), axis=0).ravel()
    keep = weight > 1e-15
    z = (vectors * np.sqrt(np.maximum(values, 0))) @ grid[:, keep]
    tower = act.derivatives(z, max(orders))
    factors = [tower[p] for p in orders]
    return np.einsum("an,bn,cn,dn,n->abcd", *factors, weight[keep], optimize=True)


@pytest.mark.parametrize("correlation", [-0.999, -0.3, 0.0, 0.6, 0.98, 1 - 1e-9])
def test_erf_pair_is_the_arcsine_law(correlation: float) -> None:
    x, y = 0.7, 2.1
    K = np.array([[x, 0], [0, y]]) + correlation * math.sqrt(x * y) * np.array([[0, 1], [1, 0]])
    law = 2 / math.pi * np.arcsin(2 * K / np.sqrt(np.outer(1 + 2 * K.diagonal(), 1 + 2 * K.diagonal())))
    np.testing.assert_allclose(Expectations(activation("erf"), K, rtol=1e-13).pair(0), law, rtol=1e-12, atol=1e-16)


def sine_quartic(K: np.ndarray) -> np.ndarray:
    """<sin sin sin sin> from the characteristic function: sum over signs of exp(-s K s/2)/16."""
    n = len(K)
    result = np.empty((n,) * 4)
    signs = np.array(list(product((-1, 1), repeat=4)))
    for index in product(range(n), repeat=4):
        exponents = -0.5 * np.einsum("si,ij,sj->s", signs, K[np.ix_(index, index)], signs)
        result[index] = signs.prod(axis=1) @ np.exp(exponents) / 16
    return result


@pytest.mark.parametrize("features", [1, 2, 3, 6])
@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_sine_quartics_are_exact_also_for_singular_covariance(features: int, scale: float) -> None:
    K = scale * covariance(4, features, seed=features, bias=0.0)
    found = Expectations(activation("sin"), K, rtol=1e-10).quartic((0, 0, 0, 0))
    exact = sine_quartic(K)
    np.testing.assert_allclose(found, exact, atol=1e-10 * abs(exact).max())


@pytest.mark.parametrize("name", ["linear", "monomial"])
@pytest.mark.parametrize("features", [2, 6])
def test_polynomial_quartics_are_wick_sums(name: str, features: int) -> None:
    act, K = activation(name), covariance(4, features, bias=0.0)
    copies = 1 if name == "linear" else 2
    expectations = Expectations(act, K, rtol=1e-10)
    quartic = expectations.quartic((0, 0, 1, 1))
    for a, b, c, d in product(range(4), repeat=4):
        indices = [a] * copies + [b] * copies + [c] * (copies - 1) + [d] * (copies - 1)
        exact = wick_moment(K, indices) * copies**2
        assert quartic[a, b, c, d] == pytest.approx(exact, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "features", "scale"), [(6, 7, 1.0), (6, 3, 0.3), (5, 1, 2.0), (5, 2, 0.7), (8, 16, 0.02)]
)
@pytest.mark.parametrize("rtol", [1e-6, 1e-9])
def test_error_estimate_holds_for_every_product(n: int, features: int, scale: float, rtol: float) -> None:
    """Inputs of unequal size, and planes: the actual error of all N^4 products of sines, in the units of the estimate."""
    K = scale * covariance(n, features, seed=n * features)
    expectations, exact = Expectations(activation("sin"), K, rtol), sine_quartic(K)
    sizes = np.einsum("aaaa->a", exact) ** 0.25
    error = abs(expectations.quartic((0, 0, 0, 0)) - exact) / np.einsum("a,b,c,d->abcd", *[sizes] * 4)
    assert error.max() <= 2 * expectations.error + 1e-13
    assert expectations.error <= rtol


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("orders", ORDERS)
def test_three_input_quartics_match_a_plain_grid(name: str, orders: tuple[int, ...]) -> None:
    K = 0.6 * covariance(3, seed=4)
    brute = cubature_moment(name, K, orders, step=0.2)
    found = Expectations(activation(name), K, rtol=1e-10).quartic(orders)
    np.testing.assert_allclose(found, brute, atol=1e-9 * abs(brute).max())


def test_four_input_quartic_matches_a_plain_grid() -> None:
    K = 0.3 * covariance(4, seed=5)
    brute = cubature_moment("tanh", K, (0, 1, 0, 1), step=0.5)
    found = Expectations(activation("tanh"), K).quartic((0, 1, 0, 1))
    np.testing.assert_allclose(found, brute, atol=1e-7 * abs(brute).max())


def test_error_estimate_bounds_the_error() -> None:
    K = covariance(4, seed=6)
    exact = Expectations(activation("gelu"), K, rtol=1e-13).quartic((0, 0, 1, 1))
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        expectations = Expectations(activation("gelu"), K, rtol)
        difference = abs(expectations.quartic((0, 0, 1, 1)) - exact).max() / abs(exact).max()
        assert difference <= 3 * rtol
        assert expectations.error <= rtol


@pytest.mark.parametrize("name", [*SMOOTH, "relu", "leaky_relu", "linear"])
@pytest.mark.parametrize("p", [0, 1])
def test_jacobian_and_hessian_are_derivatives(name: str, p: int) -> None:
    act, K, h = activation(name), covariance(3, seed=1, bias=0.3), 1e-4
    center = Expectations(act, K)
    for slot, (a, b) in enumerate([(0, 0), (0, 1), (1, 1)]):
        step = np.zeros_like(K)
        step[a, b] = step[b, a] = h
        up, down = Expectations(act, K + step), Expectations(act, K - step)
        slope = (up.pair(p) - down.pair(p)) / (2 * h)
        curve = (up.jacobian(p) - down.jacobian(p)) / (2 * h)
        assert center.jacobian(p)[0, 1, slot] == pytest.approx(slope[0, 1], abs=2e-7)
        np.testing.assert_allclose(center.hessian(p)[0, 1, slot], curve[0, 1], atol=2e-6)
        if slot == 0:
            np.testing.assert_allclose(center.jacobian(p)[0, 0], [slope[0, 0], 0, 0], atol=2e-7)
            expected = np.zeros((3, 3))
            expected[0, 0] = curve[0, 0, 0]
            np.testing.assert_allclose(center.hessian(p)[0, 0], expected, atol=2e-6)


@pytest.mark.parametrize("name", ["tanh", "relu", "leaky_relu"])
def test_repeated_inputs_give_repeated_slices(name: str) -> None:
    K = covariance(2, seed=2)
    repeat = [0, 1, 0, 1, 1]
    once, many = (Expectations(activation(name), k) for k in (K, K[np.ix_(repeat, repeat)]))
    np.testing.assert_allclose(many.pair(0), once.pair(0)[np.ix_(repeat, repeat)], rtol=1e-13)
    for orders in ORDERS:
        np.testing.assert_allclose(
            many.quartic(orders), once.quartic(orders)[np.ix_(repeat, repeat, repeat, repeat)], rtol=1e-13
        )
    # the slots of a pair of copies may differ from those of a = b, but not their sum
    for p in (0, 1):
        totals, pairs = (e.jacobian(p).sum(axis=-1) for e in (many, once))
        np.testing.assert_allclose(totals, pairs[np.ix_(repeat, repeat)], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["tanh", "gelu", "relu"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), features=st.integers(1, 5), n=st.integers(1, 3))
def test_symmetries(name: str, seed: int, features: int, n: int) -> None:
    K = covariance(n, features, seed, bias=0.05)
    expectations = Expectations(activation(name), K, rtol=1e-8)
    pair, quartic = expectations.pair(0), expectations.quartic((0, 0, 1, 1))
    np.testing.assert_allclose(pair, pair.T, rtol=1e-12)
    assert np.linalg.eigvalsh(pair)[0] > -1e-7 * abs(pair).max()
    np.testing.assert_allclose(quartic, quartic.transpose(1, 0, 3, 2), rtol=1e-12, atol=1e-14)
    order = np.random.default_rng(seed).permutation(n)
    shuffled = Expectations(activation(name), K[np.ix_(order, order)], rtol=1e-8).quartic((0, 0, 1, 1))
    scale = abs(quartic).max()
    np.testing.assert_allclose(shuffled, quartic[np.ix_(order, order, order, order)], atol=5e-8 * scale)


def test_orthant_probability_of_equicorrelated_variables() -> None:
    """P(all d > 0) = 1/(d + 1) at correlation 1/2."""
    for d in (1, 2, 3, 4):
        K = 0.5 * (np.eye(d) + np.ones((d, d)))
        assert OrthantMoments(K).moment((0,) * d) == pytest.approx(1 / (d + 1), rel=1e-14)


@pytest.mark.parametrize("features", [2, 3, 4, 6])
def test_leaky_relu_quartics_against_angular_sampling(features: int) -> None:
    """Random directions, antithetic; 5 sigma over all components of every order pattern."""
    rng = np.random.default_rng(features)
    x = rng.normal(size=(4, features))
    act = activation("leaky_relu", slope=0.3)
    expectations = Expectations(act, x @ x.T)
    z = x @ rng.normal(size=(features, 100_000))
    value, slope = act.value_and_derivative(z)
    for orders in ORDERS:
        factors = [(value, slope)[p] for p in orders]
        pairs = [(f[:, None] * g).reshape(16, -1) for f, g in (factors[:2], factors[2:])]
        mean, square = (m[0] @ m[1].T / z.shape[1] for m in (pairs, [p**2 for p in pairs]))
        stderr = np.sqrt((square - mean**2) / z.shape[1])
        score = abs(expectations.quartic(orders).reshape(16, 16) - mean) / stderr
        assert score.max() < 5


def test_relu_formulas_in_one_plane_join_those_in_space() -> None:
    rng = np.random.default_rng(3)
    x, noise = rng.normal(size=(4, 2)), rng.normal(size=(4, 4))
    plane = Expectations(activation("relu"), x @ x.T)
    for tilt in (1e-4, 1e-7):
        near = Expectations(activation("relu"), x @ x.T + tilt * noise @ noise.T)
        for orders in ORDERS:
            difference = abs(near.quartic(orders) - plane.quartic(orders)).max()
            assert difference < 100 * tilt * abs(plane.quartic(orders)).max()


def test_parallel_relu_inputs_scale() -> None:
    K = covariance(1)
    scale = np.array([1.0, 2.0, -0.5])
    expectations = Expectations(activation("relu"), K[0, 0] * np.outer(scale, scale))
    assert expectations.pair(0)[0, 1] == pytest.approx(K[0, 0], rel=1e-13)
    assert expectations.pair(0)[0, 2] == pytest.approx(0, abs=1e-13)
    assert expectations.quartic((0, 0, 1, 1))[0, 1, 0, 1] == pytest.approx(K[0, 0], rel=1e-12)
    assert np.all(np.isfinite(expectations.hessian(1)))


def test_tolerance_that_cannot_be_reached_is_an_error() -> None:
    with pytest.raises(RgflowError, match="exceeds rtol"):
        Expectations(activation("tanh"), covariance(2), rtol=1e-18).pair(0)


@pytest.mark.parametrize(
    ("K", "message"),
    [
        (np.ones((2, 3)), "shape"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "non-finite"),
        (np.array([[1.0, 0.5], [0.2, 1.0]]), "symmetric"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "negative eigenvalue"),
    ],
)
def test_bad_covariance(K: np.ndarray, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        Expectations(activation("tanh"), K)


def test_quartic_orders_are_checked() -> None:
    with pytest.raises(RgflowError, match="each 0 or 1"):
        Expectations(activation("tanh"), np.eye(2)).quartic((0, 0, 2, 0))
