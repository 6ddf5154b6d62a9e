"""Averages with an input that vanishes, against products of the others' averages, and against real networks."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from rgflow.activations.registry import activation
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.single import single_mean
from rgflow.network import Network
from rgflow.sampling.blocks import sample_initialization
from rgflow.theory.infinite_width.kernels import infinite_width_theory
from rgflow.theory.initialization.tensors import initialization_theory

ROOT = np.random.default_rng(1).normal(size=(3, 3))
SPREAD = ROOT @ ROOT.T


def with_input_of_variance(K_00: float) -> np.ndarray:
    """Three correlated inputs and, between them at place 1, one that is independent of them."""
    K = np.zeros((4, 4))
    K[np.ix_((0, 2, 3), (0, 2, 3))] = SPREAD
    K[1, 1] = K_00
    return K


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "hard_tanh"])
def test_pairs_are_products_of_single_averages(name: str) -> None:
    sigma = activation(name)
    averages = Expectations(sigma, with_input_of_variance(0.0))
    at_zero = [float(part) for part in sigma.derivatives(0.0, 1)]
    for p in (0, 1):
        mean = np.asarray(single_mean(sigma, (p,), SPREAD.diagonal()))
        np.testing.assert_allclose(averages.pair(p)[1, [0, 2, 3]], at_zero[p] * mean, rtol=1e-12)
        assert averages.pair(p)[1, 1] == at_zero[p] ** 2


def test_four_different_inputs_by_the_arcsine_law() -> None:
    averages = Expectations(activation("leaky_relu", slope=0.2), with_input_of_variance(0.0))
    sd = np.sqrt(SPREAD.diagonal())
    angles = {pair: math.asin(SPREAD[pair] / (sd[pair[0]] * sd[pair[1]])) for pair in combinations(range(3), 2)}
    two = sum(0.25 + angle / (2 * math.pi) for angle in angles.values())
    three = 1 / 8 + sum(angles.values()) / (4 * math.pi)
    slopes = 0.2**3 + 0.2**2 * 0.8 * 1.5 + 0.2 * 0.8**2 * two + 0.8**3 * three  # sigma' = 0.2 + 0.8 theta
    assert averages.quartic((1, 1, 1, 1))[0, 1, 2, 3] == pytest.approx(0.2 * slopes, rel=1e-9)
    assert averages.quartic((1, 1, 0, 1))[0, 1, 1, 3] == 0.0


def test_where_sigma_is_smooth_at_zero_a_small_input_has_the_same_averages() -> None:
    zero, small = (Expectations(activation("hard_tanh"), with_input_of_variance(K)[1:3, 1:3]) for K in (0.0, 1e-10))
    np.testing.assert_allclose(zero.pair(1), small.pair(1), rtol=1e-9)
    np.testing.assert_allclose(zero.jacobian(1)[0, 1, 2], small.jacobian(1)[0, 1, 2], rtol=1e-9)
    np.testing.assert_allclose(zero.hessian(1)[1, 0, 0, 0], small.hessian(1)[1, 0, 0, 0], rtol=1e-8)
    for orders in ((1, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 0)):
        np.testing.assert_allclose(zero.quartic(orders), small.quartic(orders), atol=1e-9)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu"])
def test_theory_describes_networks_that_see_a_vanishing_input(name: str) -> None:
    """Biases learn even where the input is 0, and gradients pass there with sigma'(0) as the network computes it."""
    x = np.array([[0.0, 0.0], [1.0, -0.5]])
    network = Network(activation(name), (2, 300, 300, 1), 0.0, 1.5, lambda_b=1.0)
    theory = initialization_theory(network, x)
    sampled = sample_initialization(network, x, members=4000, seed=3, device="cpu")
    last = {"layer": -1}
    expected = theory["Theta"].isel(last) + theory["Theta1"].isel(last) / 300
    z = (sampled["Theta"].isel(last) - expected) / np.maximum(sampled["Theta_stderr"].isel(last), 1e-6)
    assert float(abs(z).max()) < 4.5
    if name != "elu":
        wide = infinite_width_theory(network, x)
        np.testing.assert_allclose(wide["Theta"], theory["Theta"].isel(last), rtol=1e-12)
