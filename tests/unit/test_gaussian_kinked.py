"""Activations with kinks: panels and delta functions against closed forms, Mehler sums and finite differences."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian.density import density_derivative
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.kinked import KinkedMoments
from rgflow.gaussian.moments import powers
from rgflow.gaussian.scale_invariant import ScaleInvariantMoments
from rgflow.gaussian.wick import hermite_coefficients, mehler_sum

KINKED = ["elu", "selu", "hard_tanh", "perceptron"]


def covariance(n: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, n + 3))
    return 0.2 + x @ x.T / n


def engines(n: int) -> tuple[KinkedMoments, ScaleInvariantMoments]:
    act, K = activation("leaky_relu", slope=0.3), covariance(n, seed=n)
    return KinkedMoments(act, K, 1e-9), ScaleInvariantMoments(act, K, 1e-9)


@pytest.mark.parametrize("p", [0, 1])
def test_panels_and_deltas_match_the_closed_forms_of_leaky_relu(p: int) -> None:
    panels, closed = engines(3)
    apart = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(panels.pair(p, p), closed.pair(p, p), atol=1e-13)
    np.testing.assert_allclose(panels.gradient(p)[apart], closed.gradient(p)[apart], atol=1e-13)
    np.testing.assert_allclose(panels.hessian(p)[apart], closed.hessian(p)[apart], atol=1e-13)
    np.testing.assert_allclose(panels.gradient(p).sum(axis=-1), closed.gradient(p).sum(axis=-1), atol=1e-13)
    np.testing.assert_allclose(panels.hessian(p).sum(axis=(-2, -1)), closed.hessian(p).sum(axis=(-2, -1)), atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, pytest.param(4, marks=pytest.mark.slow)])
def test_products_match_orthant_moments(d: int) -> None:
    panels, closed = (engine.products(d) for engine in engines(d))
    used = reduce(np.add.outer, [np.array([i + j for i, j in powers(d)])] * d) == 4
    np.testing.assert_allclose(panels[:, used], closed[:, used], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("correlation", [-0.6, 0.3])
def test_pair_mean_is_a_mehler_sum(name: str, correlation: float) -> None:
    x, y = 0.8, 1.7
    c = correlation * math.sqrt(x * y)
    first, second = (hermite_coefficients(activation(name), K, 90) for K in (x, y))
    pair = Expectations(activation(name), [[x, c], [c, y]]).pair(0)[0, 1]
    assert pair == pytest.approx(mehler_sum(first, second, correlation), rel=1e-12)


@pytest.mark.parametrize("correlation", [0.5, 0.99, 0.99999])
def test_perceptron_is_the_arcsine_law(correlation: float) -> None:
    K = np.array([[1.0, correlation], [correlation, 1.0]])
    expectations = Expectations(activation("perceptron"), K)
    assert expectations.pair(0)[0, 1] == pytest.approx(0.25 + math.asin(correlation) / (2 * math.pi), rel=1e-11)
    slope = 1 / (2 * math.pi * math.sqrt(1 - correlation**2))
    assert expectations.jacobian(0)[0, 1, 1] == pytest.approx(slope, rel=1e-10)
    assert expectations.jacobian(0)[0, 0, 0] == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("p", [0, 1])
def test_jacobian_and_hessian_are_derivatives(name: str, p: int) -> None:
    act, K, h = activation(name), covariance(2, seed=5), 1e-4
    if name == "perceptron" and p == 1:
        pytest.skip("<sigma'^2> diverges")
    center = Expectations(act, K)
    for slot, (a, b) in enumerate([(0, 0), (0, 1), (1, 1)]):
        step = np.zeros_like(K)
        step[a, b] = step[b, a] = h
        up, down = Expectations(act, K + step), Expectations(act, K - step)
        slope = (up.pair(p) - down.pair(p)) / (2 * h)
        curve = (up.jacobian(p) - down.jacobian(p)) / (2 * h)
        assert center.jacobian(p)[0, 1, slot] == pytest.approx(slope[0, 1], abs=1e-7)
        np.testing.assert_allclose(center.hessian(p)[0, 1, slot], curve[0, 1], atol=1e-6)
        if slot == 0:
            assert center.jacobian(p)[0, 0, 0] == pytest.approx(slope[0, 0], abs=1e-7)
            assert center.hessian(p)[0, 0, 0, 0] == pytest.approx(curve[0, 0, 0], abs=1e-6)


def test_density_derivatives_are_derivatives() -> None:
    S, h = np.array([[1.3, 0.4], [0.4, 0.9]]), 1e-5
    x, y = np.array([0.3, -1.1]), np.array([0.7, 0.2])
    for m in range(4):
        for n in range(4):
            in_x = (density_derivative(S, x + h, y, m, n) - density_derivative(S, x - h, y, m, n)) / (2 * h)
            in_y = (density_derivative(S, x, y + h, m, n) - density_derivative(S, x, y - h, m, n)) / (2 * h)
            np.testing.assert_allclose(density_derivative(S, x, y, m + 1, n), in_x, atol=1e-7)
            np.testing.assert_allclose(density_derivative(S, x, y, m, n + 1), in_y, atol=1e-7)


@pytest.mark.parametrize("d", [3, 4])
def test_products_in_a_plane_match_the_angular_integral(d: int) -> None:
    x = np.random.default_rng(d).normal(size=(d, 2))
    act = activation("leaky_relu", slope=0.3)
    panels, closed = (engine(act, x @ x.T, 1e-9).products(d) for engine in (KinkedMoments, ScaleInvariantMoments))
    used = reduce(np.add.outer, [np.array([i + j for i, j in powers(d)])] * d) == 4
    np.testing.assert_allclose(panels[:, used], closed[:, used], rtol=1e-9, atol=1e-10)


def test_planar_products_continue_those_in_space() -> None:
    x, y = np.random.default_rng(1).normal(size=(2, 3, 2))
    plane = x @ x.T
    space = plane + 0.02 * (np.eye(3) + y @ y.T)
    near, there = (Expectations(activation("elu"), K, 1e-8).quartic((0, 0, 1, 1)) for K in (space, plane))
    assert 0 < abs(near - there).max() < 0.2 * abs(there).max()


def test_repeated_inputs_are_one() -> None:
    K = covariance(2)[np.ix_([0, 1, 0], [0, 1, 0])]
    quartic = Expectations(activation("elu"), K).quartic((0, 0, 1, 1))
    np.testing.assert_array_equal(quartic[0], quartic[2])


def test_what_does_not_exist_is_an_error() -> None:
    perceptron = Expectations(activation("perceptron"), covariance(2))
    assert np.all(np.isfinite(perceptron.quartic((0, 0, 0, 0))))
    with pytest.raises(RgflowError, match="sigma jumps"):
        perceptron.quartic((0, 0, 1, 1))
    with pytest.raises(RgflowError, match="perceptron"):
        perceptron.pair(1)


def test_nearly_dependent_inputs_with_kinks_are_an_error() -> None:
    K = np.outer([1.0, 2.0], [1.0, 2.0]) + 1e-9 * np.eye(2)
    with pytest.raises(RgflowError, match="nearly dependent"):
        Expectations(activation("elu"), K).pair(0)


def test_strongly_correlated_triples_do_not_overflow() -> None:
    """The density of the inner pair, of correlation 0.99 given the third input, on a grid of its own."""
    x = np.array([[1.0, 0.0, 0.0], [0.3, 1.0, 0.0], [0.3, 1.0, 0.15]])
    act = activation("leaky_relu", slope=0.3)
    panels, closed = (engine(act, x @ x.T, 1e-9).products(3) for engine in (KinkedMoments, ScaleInvariantMoments))
    used = reduce(np.add.outer, [np.array([i + j for i, j in powers(3)])] * 3) == 4
    np.testing.assert_allclose(panels[:, used], closed[:, used], rtol=1e-8, atol=1e-9)
