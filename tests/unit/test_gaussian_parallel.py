"""Parallel inputs of activations with kinks: brute force, closed forms, limits of nearly parallel inputs, one input alone."""

from __future__ import annotations

import math
from functools import reduce

import mpmath
import numpy as np
import pytest

from rgflow.activations.registry import activation
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.kinked import KinkedMoments
from rgflow.gaussian.moments import powers
from rgflow.gaussian.parallel import ParallelPair, parallel_pairs
from rgflow.gaussian.scale_invariant import ScaleInvariantMoments
from rgflow.network import Network
from rgflow.theory.initialization.tensors import RECURSIONS, initialization_theory

FUNCTIONS = {
    "elu": (lambda z: z if z > 0 else mpmath.expm1(z), lambda z: 1 if z > 0 else mpmath.exp(z)),
    "hard_tanh": (lambda z: max(-1, min(1, z)), lambda z: 1 if abs(z) < 1 else 0),
}
SCALES = np.array([1.1, 2.2, -1.1, 0.4])


def line(count: int) -> np.ndarray:
    return np.outer(SCALES[:count], SCALES[:count])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("p", [0, 1])
def test_pairs_on_a_line_are_integrals_over_it(name: str, p: int) -> None:
    found, function = Expectations(activation(name), line(4)).pair(p), FUNCTIONS[name][p]
    for a, b in ((0, 1), (0, 2), (1, 2), (2, 3)):
        kinks = {k / s for s in SCALES[[a, b]] for k in activation(name).kinks}
        edges = sorted({*kinks, *range(-12, 13)})
        exact = mpmath.quad(
            lambda u, s=SCALES[a], t=SCALES[b]: function(s * u) * function(t * u) * mpmath.npdf(u), edges
        )
        assert found[a, b] == pytest.approx(float(exact), rel=1e-13)
        assert found[b, a] == found[a, b]


@pytest.mark.parametrize("name", ["elu", "selu", "hard_tanh", "perceptron"])
def test_pairs_are_limits_of_nearly_parallel_inputs(name: str) -> None:
    """Corrections to <sigma sigma> and its gradient vanish with the angle, 1e-2 here."""
    scale = np.array([[1.0, 2.0], [2.0, 4.0]])
    near = scale * np.array([[1.0, 1 - 5e-5], [1 - 5e-5, 1.0]])
    parallel, apart = (Expectations(activation(name), K, 1e-6) for K in (scale, near))
    np.testing.assert_allclose(parallel.pair(0), apart.pair(0), atol=1e-2)
    if name != "perceptron":
        np.testing.assert_allclose(parallel.pair(1), apart.pair(1), atol=1e-2)
        np.testing.assert_allclose(parallel.jacobian(0), apart.jacobian(0), atol=1e-2)
        assert abs(parallel.jacobian(0)[0, 1]).min() > 0.02
        quartics = [e.quartic((0, 1, 0, 1)) for e in (parallel, apart)]
        np.testing.assert_allclose(*quartics, atol=1e-2)


@pytest.mark.parametrize("name", ["elu", "selu", "hard_tanh"])
@pytest.mark.parametrize("p", [0, 1])
def test_derivatives_along_the_cone(name: str, p: int) -> None:
    """K -> (1 + h) K keeps inputs parallel: the slots contracted with K, and with K twice."""
    act, K, h = activation(name), line(4), 1e-4
    up, center, down = (Expectations(act, scale * K).pair(p) for scale in (1 + h, 1.0, 1 - h))
    slots = np.array([[(K[a, a], K[a, b] * (a != b), K[b, b] * (a != b)) for b in range(4)] for a in range(4)])
    first = np.einsum("abk,abk->ab", Expectations(act, K).jacobian(p), slots)
    second = np.einsum("abkm,abk,abm->ab", Expectations(act, K).hessian(p), slots, slots)
    np.testing.assert_allclose(first, (up - down) / (2 * h), atol=1e-7)
    np.testing.assert_allclose(second, (up - 2 * center + down) / h**2, atol=1e-6)


def test_delta_functions_of_one_factor() -> None:
    """hard_tanh'' = delta(z + 1) - delta(z - 1): <sigma(z) sigma''(2z)> = -2 sigma(1/2) phi(1/2)/2."""
    pair = ParallelPair(activation("hard_tanh"), 1.0, 2.0)
    density = math.exp(-0.125) / math.sqrt(2 * math.pi) / 2
    assert pair.mean(0, 2) == pytest.approx(-2 * 0.5 * density, rel=1e-13)
    assert pair.mean(2, 0) == pytest.approx(-2 * 1.0 * math.exp(-0.5) / math.sqrt(2 * math.pi), rel=1e-13)


@pytest.mark.parametrize("d", [2, 3])
def test_products_with_parallel_inputs_match_orthant_moments(d: int) -> None:
    x = np.random.default_rng(d).normal(size=(2, 3))
    inputs = np.array([x[0], 2 * x[0], -x[0], x[1]])
    act = activation("leaky_relu", slope=0.3)
    panels, closed = (
        engine(act, inputs @ inputs.T, 1e-9).products(d) for engine in (KinkedMoments, ScaleInvariantMoments)
    )
    used = reduce(np.add.outer, [np.array([i + j for i, j in powers(d)])] * d) == 4
    np.testing.assert_allclose(panels[:, used], closed[:, used], rtol=1e-9, atol=1e-9)


SPATIAL = {
    "generic": [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, -0.4, 0.6]],
    "parallel": [[1, 0.2, 0], [-0.5, -0.1, 0], [0.3, 1, 0.1], [-0.2, 0.1, 0.9]],
    "three in a plane": [[1, 0.2, 0], [0, 0.8, 0.5], [1, 1, 0.5], [-0.2, 0.1, 0.9]],
}


@pytest.mark.parametrize(
    "name", ["parallel", *(pytest.param(name, marks=pytest.mark.slow) for name in ("generic", "three in a plane"))]
)
def test_four_inputs_in_space_match_orthant_moments(name: str) -> None:
    x = 0.6 * np.array(SPATIAL[name])
    act = activation("leaky_relu", slope=0.3)
    panels, closed = (engine(act, x @ x.T, 1e-8).products(4) for engine in (KinkedMoments, ScaleInvariantMoments))
    used = reduce(np.add.outer, [np.array([i + j for i, j in powers(4)])] * 4) == 4
    np.testing.assert_allclose(panels[:, used], closed[:, used], atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elu", "hard_tanh"])
def test_four_inputs_in_space_continue_those_outside(name: str) -> None:
    x = np.array(SPATIAL["generic"])
    space = x @ x.T
    near, there = (
        Expectations(activation(name), K, 1e-6).quartic((0, 0, 1, 1)) for K in (space + 0.05 * np.eye(4), space)
    )
    assert 0 < abs(near - there).max() < 0.2 * abs(there).max()


def test_which_pairs_are_parallel() -> None:
    x = np.array([[1.0, 0.0], [-3.0, 0.0], [1.0, 1e-5], [0.0, 2.0]])
    assert parallel_pairs(x @ x.T) == [(0, 1)]


@pytest.mark.parametrize("name", ["elu", "hard_tanh"])
@pytest.mark.parametrize("C_b", [0.0, 0.1])
def test_theory_of_parallel_inputs_is_that_of_each_alone(name: str, C_b: float) -> None:
    x = np.array([[0.7, -1.1, 0.4]])
    inputs = np.concatenate([x, 2 * x, -x, x])
    network = Network(name, (3, *[8] * 4), C_b, 1.5)
    together = initialization_theory(network, inputs, rtol=1e-8)
    for sample in range(3):
        alone = initialization_theory(network, inputs[[sample]], rtol=1e-8)
        for tensor in RECURSIONS:
            legs = together[tensor].ndim - 1
            found = together[tensor].to_numpy()[(slice(None), *(sample,) * legs)]
            np.testing.assert_allclose(found, alone[tensor].to_numpy().ravel(), rtol=1e-8, atol=1e-9, err_msg=tensor)
    V = together["V"].to_numpy()
    np.testing.assert_array_equal(V[:, 3], V[:, 0])
    if name == "hard_tanh" and C_b == 0:  # odd without biases: z(-x) = -z(x) at every layer
        for tensor in ("K", "G1", "V"):
            values = together[tensor].to_numpy()
            np.testing.assert_allclose(values[:, 2], -values[:, 0], rtol=1e-8, atol=1e-9, err_msg=tensor)
