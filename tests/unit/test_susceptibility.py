"""Susceptibilities against their weighted averages (no derivative of sigma beyond the first), kinks included."""

from __future__ import annotations

import math

import numpy as np
import pytest
from oracle_single import gaussian_mean

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.theory.criticality.susceptibility import chi_parallel, chi_perp, correlation_depth, h, mean_square

SMOOTH = ["tanh", "sin", "erf", "gelu", "swish", "mish", "softplus", "sigmoid", "snake", "cos"]
KINKED = ["relu", "leaky_relu", "elu", "selu", "hard_tanh"]


def hermite_mean(sigma: Activation, order: int, K: float, degree: int) -> float:
    """<(sigma^(order))^2 He_degree(z / sqrt K)> / K^(degree/2): the mean of a z-derivative, by Stein's identity."""
    hermite = np.polynomial.hermite_e.HermiteE.basis(degree)

    def integrand(z: np.ndarray) -> np.ndarray:
        return sigma.derivative(z, order) ** 2 * hermite(z / np.sqrt(K)) / K ** (degree / 2)

    return gaussian_mean(integrand, K, sigma.kinks)


@pytest.mark.parametrize("K", [0.4, 3.0, 40.0])
@pytest.mark.parametrize("name", SMOOTH + KINKED)
def test_susceptibilities_are_weighted_averages(name: str, K: float) -> None:
    sigma = activation(name)
    assert chi_parallel(sigma, 1.7, K) == pytest.approx(1.7 / 2 * hermite_mean(sigma, 0, K, 2), rel=1e-10, abs=1e-12)
    assert chi_perp(sigma, 1.7, K) == pytest.approx(1.7 * hermite_mean(sigma, 1, K, 0), rel=1e-12)
    assert h(sigma, 1.7, K) == pytest.approx(1.7 / 4 * hermite_mean(sigma, 1, K, 2), rel=1e-10, abs=1e-11)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_second_kernel_derivatives(name: str) -> None:
    sigma, K = activation(name), 1.3
    for order in (0, 1):
        second = mean_square(sigma, order, K, derivative=2)
        assert second == pytest.approx(hermite_mean(sigma, order, K, 4) / 4, rel=1e-9, abs=1e-11)


def test_arrays_keep_their_shape() -> None:
    K = np.array([[0.5, 1.0], [2.0, 4.0]])
    values = chi_perp("tanh", 1.2, K)
    assert values.shape == (2, 2)
    assert values[1, 0] == pytest.approx(float(chi_perp("tanh", 1.2, 2.0)), rel=1e-14)


def test_smooth_susceptibilities_reach_zero_kernel() -> None:
    assert chi_parallel("tanh", 1.0, 0.0) == pytest.approx(1.0)
    assert h("tanh", 1.0, 0.0) == pytest.approx(-1.0)


def test_jump_of_sigma_makes_chi_perp_infinite_but_not_chi_parallel() -> None:
    assert chi_perp("perceptron", 1.0, 2.0) == math.inf
    assert chi_parallel("perceptron", 1.0, 2.0) == 0.0


def test_kernel_derivative_at_a_kink_needs_a_positive_kernel() -> None:
    with pytest.raises(RgflowError, match="relu has a kink at 0"):
        chi_parallel("relu", 2.0, [0.0, 1.0])
    with pytest.raises(RgflowError, match="K = "):
        chi_perp("tanh", 1.0, -1.0)


def test_correlation_depth() -> None:
    np.testing.assert_allclose(correlation_depth([math.exp(-0.1), math.exp(0.25)]), [10.0, -4.0])
    assert correlation_depth(1.0) in (math.inf, -math.inf)
    assert correlation_depth(0.0) == 0.0
