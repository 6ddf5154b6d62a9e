"""Single-input recursions: published tables, exact laws, brute force in the second layer, and the tensor recursions."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_single import gaussian_mean

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import critical
from rgflow.theory.depth.single_input import kernel_flow, single_input_theory
from rgflow.theory.initialization.tensors import initialization_theory


def critical_theory(name: str, depth: int, K: float, **rates: float) -> dict[str, np.ndarray]:
    """Equal widths, starting from the kernel K."""
    point = critical(name)
    network = Network(name, (1,) * (depth + 1), point.C_b, point.C_W, **rates)
    return single_input_theory(network, (K - point.C_b) / point.C_W)


def test_tanh_table() -> None:
    theory = critical_theory("tanh", 100, 1.0)
    np.testing.assert_allclose(theory["K"][[9, 99]], [0.0580118478, 0.0051207157], rtol=1e-8)
    np.testing.assert_allclose((theory["V"] / theory["K"] ** 2)[[9, 99]], [5.52352424, 64.80395596], rtol=1e-9)


def test_gelu_at_its_critical_kernel() -> None:
    K_star = critical("gelu").K_star
    theory = critical_theory("gelu", 10, K_star)
    np.testing.assert_allclose(theory["K"], K_star, rtol=1e-13)
    assert theory["V"][9] / K_star**2 == pytest.approx(44.13803586, rel=1e-9)


@pytest.mark.parametrize(("slope", "r"), [(0.0, 2.0), (1.0, 1.0), (0.2, (1 + 0.2**4) / 2 / ((1 + 0.2**2) / 2) ** 2)])
def test_scale_invariant_laws_hold_in_every_layer(slope: float, r: float) -> None:
    lambda_b, lambda_W, K = 0.3, 0.7, 1.4
    sigma = activation("leaky_relu", slope=slope)
    A_2 = (1 + slope**2) / 2
    theory = single_input_theory(Network(sigma, (1,) * 31, 0.0, 1 / A_2, lambda_b, lambda_W), K * A_2)
    l, v, w = np.arange(1.0, 31.0), 3 * r - 1, lambda_W * A_2 * K  # noqa: E741
    first = lambda_b + w
    pairs, squares = l * (l - 1) / 2, (l - 1) * l * (2 * l - 1) / 6
    expected = {
        "K": np.full(30, K),
        "Theta": first * l,
        "V": v * (l - 1) * K**2,
        "F": r * K * first * pairs,
        "B": r * first**2 * squares,
        "D": K * (w * v + (r - 1) * first) * pairs,
        "A": (w**2 * v + w * (r - 1) * first + (r - 1) * first**2) * squares + w * (r - 1) * first * pairs,
        "G1": np.zeros(30),
        "Theta1": np.zeros(30),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(theory[name], values, rtol=1e-12, atol=1e-12, err_msg=name)


def test_unequal_widths_enter_by_their_ratios() -> None:
    """V/(n_{l-1} K^2) = 5 sum_{l' < l} 1/n_{l'} for relu."""
    widths = (3, 10, 40, 8, 25, 1)
    theory = single_input_theory(Network("relu", widths, 0.0, 2.0), 0.5)
    expected = [5 * sum(1 / n for n in widths[1 : layer + 1]) for layer in range(5)]
    np.testing.assert_allclose(theory["V"] / widths[:-1] / theory["K"] ** 2, expected, rtol=1e-13)


@pytest.mark.parametrize("name", ["gelu", "softplus", "elu"])
def test_second_layer_by_brute_force(name: str) -> None:
    """In layer 2 every tensor is a (co)variance of one neuron of layer 1."""
    sigma, C_b, C_W, lambda_b, lambda_W = activation(name), 0.3, 1.7, 0.2, 0.6
    theory = single_input_theory(Network(sigma, (4, 7, 5), C_b, C_W, lambda_b, lambda_W), 0.8)
    K, Theta = C_b + C_W * 0.8, lambda_b + lambda_W * 0.8

    def mean(power: int, slope_power: int) -> float:
        return gaussian_mean(lambda z: sigma(z) ** power * sigma.derivative(z, 1) ** slope_power, K, sigma.kinks)

    s, t = lambda_W, C_W * Theta
    cov_ss = mean(4, 0) - mean(2, 0) ** 2
    cov_st = mean(2, 2) - mean(2, 0) * mean(0, 2)
    cov_tt = mean(0, 4) - mean(0, 2) ** 2
    expected = {
        "K": C_b + C_W * mean(2, 0),
        "Theta": lambda_b + s * mean(2, 0) + t * mean(0, 2),
        "V": C_W**2 * cov_ss,
        "D": C_W * (s * cov_ss + t * cov_st),
        "A": s**2 * cov_ss + 2 * s * t * cov_st + t**2 * cov_tt,
        "F": C_W**2 * Theta * mean(2, 2),
        "B": C_W**2 * Theta**2 * mean(0, 4),
    }
    for tensor, value in expected.items():
        assert theory[tensor][1] == pytest.approx(value, rel=1e-11), tensor


@pytest.mark.parametrize("name", ["tanh", "gelu", "swish"])
def test_tensor_recursions_of_one_input_agree(name: str) -> None:
    """Scalar and many-input recursions are written separately; every tensor agrees, NLO means included."""
    network = Network(name, (3, 8, 12, 5, 9, 2), (0.1, 0.2, 0.1, 0.3, 0.2), 1.3, (0.2, 0.1, 0.3, 0.2, 0.1), 0.8)
    x = np.array([[0.4, -1.1, 0.7]])
    tensors = initialization_theory(network, x)
    for tensor, values in single_input_theory(network, float(np.mean(x**2))).items():
        np.testing.assert_allclose(tensors[tensor].values.ravel(), values, rtol=1e-8, atol=1e-12, err_msg=tensor)


def test_refusals() -> None:
    with pytest.raises(RgflowError, match="must not be negative"):
        kernel_flow(Network("tanh", (1, 1), 0.0, 1.0), -1.0)
    with pytest.raises(RgflowError, match="K is inf at layer"), np.errstate(over="ignore"):
        kernel_flow(Network(activation("monomial", power=3), (1,) * 12, 0.0, 2.0), 10.0)
