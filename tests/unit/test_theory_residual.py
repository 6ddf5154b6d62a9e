"""Residual networks: plain limit, closed critical solution, dense oracle, and the three-point correlator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dense_reference import dense_residual_theory

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization import initialization_theory
from rgflow.theory.residual import residual_theory

INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])


def network(name: str, depth: int = 4) -> Network:
    layers = np.arange(depth)
    return Network(name, (3, *[10] * depth), 0.1 + 0.05 * layers, 0.8 + 0.1 * layers, 0.3, 0.7 - 0.1 * layers)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_without_skip_it_is_the_plain_network(activation: str) -> None:
    residual = residual_theory(network(activation), INPUTS, xi_1=1.0, xi_2=0.0)
    plain = initialization_theory(network(activation), INPUTS, tensors=("K", "Theta", "G1", "V"))
    for name in ("K", "Theta", "G1", "V"):
        np.testing.assert_allclose(residual[name], plain[name], rtol=1e-10, atol=1e-13, err_msg=name)
    np.testing.assert_array_equal(residual["T"], 0.0)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("depth", [2, 4])
def test_two_inputs_match_the_dense_oracle(activation: str, depth: int) -> None:
    last = residual_theory(network(activation, depth), INPUTS, xi_1=0.8, xi_2=0.7).isel(layer=-1)
    for name, values in dense_residual_theory(network(activation, depth), INPUTS, 0.8, 0.7).items():
        np.testing.assert_allclose(last[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


def critical(a_minus: float, gamma: float, xi_1: float, depth: int) -> Network:
    """Scale-invariant, C_b = 0, xi_2^2 + xi_1^2 chi = 1; K = 1.5 for the input sqrt(1.5 / C_W)."""
    A_2 = (1.0 + a_minus**2) / 2.0
    name = "relu" if a_minus == 0.0 else "leaky_relu"
    return Network(name, (1, *[10] * depth), 0.0, (1.0 - gamma**2) / (xi_1**2 * A_2))


@pytest.mark.parametrize(("a_minus", "gamma"), [(0.0, 0.7), (0.0, 0.3), (0.01, 0.7)])
@pytest.mark.parametrize("xi_1", [1.0, 0.6])
def test_scale_invariant_critical_growth(a_minus: float, gamma: float, xi_1: float) -> None:
    """T tends to a constant and V to nu(gamma) K^2 per layer; without T the slope for relu at 0.7 would be 2.300."""
    net = critical(a_minus, gamma, xi_1, depth=60)
    K, A_2 = 1.5, (1.0 + a_minus**2) / 2.0
    theory = residual_theory(net, [[np.sqrt(K / net.C_W[0])]], xi_1, gamma)
    r = 2.0 * (1.0 + a_minus**4) / (1.0 + a_minus**2) ** 2
    odd = 1.0 - a_minus**2
    T = gamma * (1 + gamma) * 2 * odd / (A_2 * np.sqrt(2 * np.pi)) * K**1.5
    nu = (1 - gamma**2) * ((3 * r - 1) + gamma**2 * (5 - 3 * r) + 4 / np.pi * (odd / A_2) ** 2 * gamma * (1 + gamma))
    V = theory["V"].to_numpy().reshape(-1)
    assert float(theory["T"][-1, 0, 0, 0]) == pytest.approx(T, rel=1e-9)
    assert V[-1] - V[-2] == pytest.approx(nu * K**2, rel=1e-9)
    np.testing.assert_allclose(theory["K"], K, rtol=1e-12)


def test_relu_coefficient_of_the_formula_sheet() -> None:
    theory = residual_theory(critical(0.0, 0.7, 1.0, depth=60), [[1.0]], 1.0, 0.7)
    V, K = (theory[name].to_numpy().reshape(-1) for name in ("V", "K"))
    assert (V[-1] - V[-2]) / K[-1] ** 2 == pytest.approx(5.391, abs=5e-4)


def test_odd_activation_has_no_three_point_correlator() -> None:
    theory = residual_theory(network("tanh"), INPUTS, xi_1=1.0, xi_2=0.7)
    np.testing.assert_allclose(theory["T"], 0.0, atol=1e-13)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("samples", [[1, 0], [0, 1, 0], [1]])
def test_tensors_depend_on_their_own_inputs_only(activation: str, samples: list[int]) -> None:
    both = residual_theory(network(activation), INPUTS, 0.8, 0.7)
    chosen = residual_theory(network(activation), INPUTS[samples], 0.8, 0.7)
    for name in ("K", "Theta", "G1", "T", "V"):
        expected = both[name].to_numpy()[np.ix_(range(4), *[samples] * (both[name].ndim - 1))]
        np.testing.assert_allclose(chosen[name], expected, rtol=1e-8, atol=1e-11, err_msg=name)


def test_leaky_relu_continues_to_linear() -> None:
    """Slope 1 is linear: the vertex then has no three-point part and every closed form must vanish with the kink."""
    nearly = activation("leaky_relu", slope=1.0 - 1e-7)
    bent = residual_theory(Network(nearly, (3, *[10] * 4), 0.1, 0.8, 0.3, 0.7), INPUTS, 0.8, 0.7)
    straight = residual_theory(Network("linear", (3, *[10] * 4), 0.1, 0.8, 0.3, 0.7), INPUTS, 0.8, 0.7)
    for name in ("K", "Theta", "G1", "T", "V"):
        np.testing.assert_allclose(bent[name], straight[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("net", "xi", "message"),
    [
        (Network("tanh", (3, 10, 9), 0.0, 1.0), (1.0, 0.5), "n_1 = ... = n_L"),
        (network("tanh"), (float("nan"), 0.5), "finite"),
        (network("hard_tanh"), (1.0, 0.5), "only relu, leaky_relu"),
    ],
)
def test_unsupported_networks_are_refused(net: Any, xi: tuple[float, float], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        residual_theory(net, INPUTS, *xi)
