"""Residual networks: plain limit, closed critical solution, dense oracle, and the three-point correlator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from dense_reference import dense_residual_theory

from rgflow.activations.registry import activation
from rgflow.architectures.residual import architecture_of
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import critical
from rgflow.theory.criticality.flow import midpoint_flow, pair_flow, to_midpoint
from rgflow.theory.depth.single_input import kernel_flow, single_input_theory
from rgflow.theory.initialization.exact import exact_theory
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.bayes import bayes_theory
from rgflow.theory.learning.output import output_kernels

INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
TENSORS = ("K", "Theta", "G1", "T3", "V")


def network(name: str, xi: tuple[float, float], depth: int = 4) -> Network:
    layers = np.arange(depth)
    return Network(name, (3, *[10] * depth), 0.1 + 0.05 * layers, 0.8 + 0.1 * layers, 0.3, 0.7 - 0.1 * layers, *xi)


def residual_theory(name: str, xi: tuple[float, float], inputs: Any = INPUTS) -> xr.Dataset:
    return initialization_theory(network(name, xi), inputs)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_without_skip_it_is_a_plain_network_with_a_rescaled_branch(activation: str) -> None:
    residual = residual_theory(activation, (0.8, 0.0))
    plain = network(activation, (1.0, 0.0))
    scale = np.array([1.0, *[0.8**2] * 3])
    names = ("C_b", "C_W", "lambda_b", "lambda_W")
    rescaled = replace(plain, **{name: tuple(scale * getattr(plain, name)) for name in names})
    expected = initialization_theory(rescaled, INPUTS, tensors=("K", "Theta", "G1", "V"))
    for name in ("K", "Theta", "G1", "V"):
        np.testing.assert_allclose(residual[name], expected[name], rtol=1e-10, atol=1e-13, err_msg=name)
    np.testing.assert_array_equal(residual["T3"], 0.0)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize("depth", [2, 4])
def test_two_inputs_match_the_dense_oracle(activation: str, depth: int) -> None:
    net = network(activation, (0.8, 0.7), depth)
    last = initialization_theory(net, INPUTS).isel(layer=-1)
    for name, values in dense_residual_theory(net, INPUTS, 0.8, 0.7).items():
        np.testing.assert_allclose(last[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("tensors", [("T3",), ("Theta", "K"), ("V",)])
def test_only_what_is_asked_for_is_returned(tensors: tuple[str, ...]) -> None:
    found = initialization_theory(network("gelu", (0.8, 0.7)), INPUTS, tensors)
    assert set(found) == {*tensors, "quadrature_error"}
    whole = residual_theory("gelu", (0.8, 0.7))
    for name in tensors:
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-9, atol=1e-12)


def scale_invariant(a_minus: float, gamma: float, xi_1: float, depth: int) -> Network:
    """At criticality, K = 1.5 for the input sqrt(1.5 / C_W)."""
    sigma = activation("leaky_relu", slope=a_minus) if a_minus else activation("relu")
    point = critical(sigma).of(architecture_of(xi_1, gamma))
    return Network(sigma, (1, *[10] * depth), point.C_b, point.C_W, xi_1=xi_1, xi_2=gamma)


@pytest.mark.parametrize(("a_minus", "gamma"), [(0.0, 0.7), (0.0, 0.3), (0.2, 0.7)])
@pytest.mark.parametrize("xi_1", [1.0, 0.6])
def test_scale_invariant_critical_growth(a_minus: float, gamma: float, xi_1: float) -> None:
    """T3 tends to a constant and V to nu(gamma) K^2 per layer; without T3 the slope for relu at 0.7 would be 2.300."""
    net = scale_invariant(a_minus, gamma, xi_1, depth=60)
    K, A_2 = 1.5, (1.0 + a_minus**2) / 2.0
    theory = initialization_theory(net, [[np.sqrt(K / net.C_W[0])]])
    r = 2.0 * (1.0 + a_minus**4) / (1.0 + a_minus**2) ** 2
    odd = 1.0 - a_minus**2
    T3 = gamma * (1 + gamma) * 2 * odd / (A_2 * np.sqrt(2 * np.pi)) * K**1.5
    nu = (1 - gamma**2) * ((3 * r - 1) + gamma**2 * (5 - 3 * r) + 4 / np.pi * (odd / A_2) ** 2 * gamma * (1 + gamma))
    V = theory["V"].to_numpy().reshape(-1)
    assert float(theory["T3"][-1, 0, 0, 0]) == pytest.approx(T3, rel=1e-9)
    assert V[-1] - V[-2] == pytest.approx(nu * K**2, rel=1e-9)
    np.testing.assert_allclose(theory["K"], K, rtol=1e-12)


def test_relu_coefficients_of_the_formula_sheet() -> None:
    """Per layer 5.391 asymptotically, and 9.40 in layer 4, where dropping T3 gives 6.90."""
    theory = initialization_theory(scale_invariant(0.0, 0.7, 1.0, depth=60), [[1.0]])
    V, K = (theory[name].to_numpy().reshape(-1) for name in ("V", "K"))
    assert (V[-1] - V[-2]) / K[-1] ** 2 == pytest.approx(5.391, abs=5e-4)
    assert V[3] / K[3] ** 2 == pytest.approx(9.40, abs=5e-3)


@pytest.mark.parametrize("name", ["gelu", "tanh", "swish"])
def test_critical_residual_networks_keep_the_critical_kernel(name: str) -> None:
    """In the half-stable class K* is a fixed point; in the class K* = 0 the kernel falls by chi_parallel = 1 + O(K)."""
    point = critical(name)
    residual = point.of(architecture_of(0.8, 0.6))
    start = point.K_star or 1e-6
    first = (start - point.C_b) / point.C_W
    C_b, C_W = ([plain, *[skipped] * 3] for plain, skipped in ((point.C_b, residual.C_b), (point.C_W, residual.C_W)))
    net = Network(name, (1, *[1] * 4), C_b, C_W, xi_1=0.8, xi_2=0.6)
    K = initialization_theory(net, [[np.sqrt(first)]], ("K",))["K"].to_numpy().reshape(-1)
    np.testing.assert_allclose(K, start, rtol=1e-5 if point.K_star == 0 else 1e-10)
    assert residual.chi_perp_slope == pytest.approx(0.64 * point.chi_perp_slope)


@pytest.mark.parametrize(
    ("xi", "message"),
    [
        ((1.0, 1.0), "needs a weaker skip connection, below 1"),
        ((0.0, 0.5), "xi_1 = 0.0; it must be positive"),
        ((1.0, float("nan")), "xi_2 = nan; it must be a finite number"),
    ],
)
def test_no_critical_residual_network_without_a_decaying_skip(xi: tuple[float, float], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        critical("relu").of(architecture_of(*xi))


def test_odd_activation_has_no_three_point_correlator() -> None:
    np.testing.assert_allclose(residual_theory("tanh", (1.0, 0.7))["T3"], 0.0, atol=1e-13)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("samples", [[1, 0], [0, 1, 0], [1]])
def test_tensors_depend_on_their_own_inputs_only(activation: str, samples: list[int]) -> None:
    both = residual_theory(activation, (0.8, 0.7))
    chosen = residual_theory(activation, (0.8, 0.7), INPUTS[samples])
    for name in TENSORS:
        expected = both[name].to_numpy()[np.ix_(range(4), *[samples] * (both[name].ndim - 1))]
        np.testing.assert_allclose(chosen[name], expected, rtol=1e-8, atol=1e-11, err_msg=name)


def test_leaky_relu_continues_to_linear() -> None:
    """Slope 1 is linear: the vertex then has no three-point part and every closed form must vanish with the kink."""
    nearly = activation("leaky_relu", slope=1.0 - 1e-7)
    bent, straight = (
        initialization_theory(Network(sigma, (3, *[10] * 4), 0.1, 0.8, 0.3, 0.7, 0.8, 0.7), INPUTS)
        for sigma in (nearly, "linear")
    )
    for name in TENSORS:
        np.testing.assert_allclose(bent[name], straight[name], rtol=1e-5, atol=1e-5, err_msg=name)


def test_kernels_of_the_outputs_and_what_is_learned_from_them() -> None:
    net = network("gelu", (0.8, 0.7))
    theory = initialization_theory(net, INPUTS, ("K", "Theta")).isel(layer=-1)
    K, Theta = output_kernels(net, INPUTS)
    np.testing.assert_allclose(K, theory["K"], rtol=1e-10)
    np.testing.assert_allclose(Theta, theory["Theta"], rtol=1e-10)
    posterior = bayes_theory(net, INPUTS[:1], np.ones((1, 10)), INPUTS[1:], order="leading")
    np.testing.assert_allclose(posterior["posterior_mean"][1], K[1, 0] / K[0, 0])


def test_flows_of_kernels_are_those_of_the_tensors() -> None:
    net = network("gelu", (0.8, 0.7))
    K = initialization_theory(net, INPUTS, ("K",))["K"].to_numpy()
    np.testing.assert_allclose(pair_flow(net, K[0]), K, rtol=1e-9)
    np.testing.assert_allclose(kernel_flow(net, INPUTS[0] @ INPUTS[0] / 3), K[:, 0, 0], rtol=1e-9)
    close = np.array([INPUTS[0] - 1e-4 * INPUTS[1], INPUTS[0] + 1e-4 * INPUTS[1]])
    near = to_midpoint(initialization_theory(net, close, ("K",), rtol=1e-13)["K"].to_numpy())
    np.testing.assert_allclose(midpoint_flow(net, near[0]), near, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        exact_theory,
        lambda net, _: single_input_theory(net, 1.0),
        lambda net, inputs: bayes_theory(net, inputs, np.ones((len(inputs), 4)), inputs),
    ],
)
def test_laws_of_plain_networks_are_refused(call: Any) -> None:
    with pytest.raises(RgflowError, match=r"xi_1 = 1, xi_2 = 0.5: .* needs a plain network"):
        call(Network("linear", (3, 4, 4), 0.0, 1.0, xi_2=0.5), INPUTS)


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [("hard_tanh", None, "only relu, leaky_relu"), ("tanh", ("K", "D"), "allowed are K, G1, T3, V, Theta")],
)
def test_what_is_not_known_is_refused(name: str, tensors: Any, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        initialization_theory(network(name, (1.0, 0.5)), INPUTS, tensors)
