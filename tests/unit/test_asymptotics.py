"""Large-depth laws against the recursions at depth, for every class; learning rates of the equivalence principle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import critical
from rgflow.theory.criticality.susceptibility import chi_perp, mean_square
from rgflow.theory.depth.asymptotics import (
    DepthLaw,
    equivalence_learning_rates,
    kernel_exponents,
    predicted_laws,
    small_kernel,
)
from rgflow.theory.depth.exponents import critical_network, deep_flow, exponent_table, fit_depth_law
from rgflow.theory.depth.single_input import kernel_flow, single_input_theory


@pytest.mark.parametrize(("name", "a_1", "a_2"), [("tanh", -2.0, 17 / 3), ("sin", -1.0, 2 / 3), ("erf", -2.0, 14 / 3)])
def test_growth_of_a_small_kernel_of_odd_activations(name: str, a_1: float, a_2: float) -> None:
    small = small_kernel(name)
    np.testing.assert_allclose([small.s, small.a, small.b, small.a_2], [1.0, a_1, a_1, a_2], rtol=1e-13)
    assert (small.p_0, small.p_perp) == pytest.approx((1.0, 1.0))


def test_growth_of_a_small_kernel_without_symmetry() -> None:
    """For a polynomial sigma, <sigma^2> and <sigma'^2> are polynomials in K whose coefficients are a_1, a_2 and b_1."""
    series = np.polynomial.Polynomial([0.0, 1.3, 0.2, -0.4, 0.07, -0.03])

    def tower(z: np.ndarray, order: int) -> list[np.ndarray]:
        return [series.deriv(k)(z) if k else series(z) for k in range(order + 1)]

    def mean_of_square(polynomial: np.polynomial.Polynomial) -> np.ndarray:
        return (polynomial**2).coef[:7:2] * [1, 1, 3, 15] / 1.3**2

    small = small_kernel(Activation("quintic", tower=tower))
    np.testing.assert_allclose([1.0, small.a, small.a_2], mean_of_square(series)[1:], rtol=1e-13)
    np.testing.assert_allclose([1.0, small.b], mean_of_square(series.deriv())[:2], rtol=1e-13)
    assert small.p_perp == pytest.approx(small.b / small.a)
    assert small.p_perp != pytest.approx(1.0, rel=1e-2)


@pytest.mark.parametrize(("name", "logarithm"), [("tanh", -5 / 6), ("sin", 1 / 3), ("erf", -1 / 3)])
def test_logarithm_in_the_kernel(name: str, logarithm: float) -> None:
    """1/K + a_1 l grows like ln(l) (a_1^2 - a_2)/(-a_1)."""
    small = small_kernel(name)
    layers = np.array([500, 1000, 2000])
    K = deep_flow(name, 2000)["K"][layers - 1] / critical(name).C_W ** 0
    growth = np.diff(1 / K + small.a * layers) / math.log(2)
    assert 2 * growth[1] - growth[0] == pytest.approx(logarithm, abs=4e-3)
    assert small.kernel.logarithm == pytest.approx(small.a_2 / small.a**2 - 1)


@pytest.mark.parametrize("name", ["elu", "selu"])
def test_a_curvature_jump_at_zero_makes_the_kernel_fall_as_the_square_of_depth(name: str) -> None:
    small = small_kernel(name)
    assert (small.s, small.p_0, small.p_perp) == pytest.approx((0.5, 2.0, 2.0))
    C_W, K = critical(name).C_W, np.array([1e-6, 1e-8])
    np.testing.assert_allclose((C_W * mean_square(name, 0, K) / K - 1) / np.sqrt(K), small.a, rtol=2e-3)
    np.testing.assert_allclose((chi_perp(name, C_W, K) - 1) / np.sqrt(K), small.b, rtol=2e-3)


def test_exponents_of_the_other_classes() -> None:
    assert kernel_exponents("relu") == (0.0, 0.0)
    assert kernel_exponents("gelu") == (0.0, 0.0)
    assert kernel_exponents("hard_tanh") == (0.0, 0.0)  # falls more slowly than any power
    with pytest.raises(RgflowError, match=r"sigmoid has no critical point: sigma\(0\) = 0.5"):
        kernel_exponents("sigmoid")
    with pytest.raises(RgflowError, match="hard_tanh: K falls like 1/ln"):
        predicted_laws("hard_tanh", 100)
    with pytest.raises(RgflowError, match=r"class half-stable, allowed: K\*=0"):
        small_kernel("gelu")


@pytest.mark.parametrize(("name", "bias", "weight"), [("relu", 1 / 4, 1 / 4), ("swish", 1 / 4, 1 / 4)])
def test_rates_are_shared_equally_where_the_kernel_does_not_fall(name: str, bias: float, weight: float) -> None:
    rates = equivalence_learning_rates(name, 4, 1.0, 3.0)
    np.testing.assert_allclose(rates, [[bias] * 4, [3 * weight] * 4])


def test_rates_of_odd_activations() -> None:
    rates = equivalence_learning_rates(critical("tanh"), 4, 2.0, 3.0)
    np.testing.assert_allclose(rates, [[2.0, 1.0, 2 / 3, 0.5], [3.0] * 4])
    with pytest.raises(RgflowError, match="depth = 0"):
        equivalence_learning_rates("tanh", 0)


def test_rates_fit_a_network() -> None:
    network = critical_network("tanh", 5)
    assert network.depth == 5
    assert (network.C_b[0], network.C_W[0], network.lambda_b[4]) == (0.0, 1.0, 0.2)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "selu"])
def test_every_layer_contributes_alike_to_the_ntk(name: str) -> None:
    """A rate of layer l adds rate * (1 or <sigma^2>) * prod chi_perp to the NTK: deep layers share it within 15 %."""
    depth, point = 240, critical(name)
    network = critical_network(name, depth, 0.7, 1.3)
    x2 = ((point.K_star if point.K_star > 0 else 1.0) - point.C_b) / point.C_W
    K = kernel_flow(network, x2)
    growth = np.append(np.cumprod(chi_perp(name, point.C_W, K[:-1])[::-1])[::-1], 1.0)
    shares = {
        "bias": np.array(network.lambda_b) * growth,
        "weight": np.array(network.lambda_W) * np.append(x2, mean_square(name, 0, K[:-1])) * growth,
    }
    total = single_input_theory(network, x2)["Theta"][-1]
    assert sum(np.sum(share) for share in shares.values()) == pytest.approx(total, rel=1e-12)
    for kind, share in shares.items():
        assert np.ptp(share[80:]) < 0.15 * share[-1], kind
        assert 0.05 < depth * share[-1] < 20.0, kind


TOLERANCES = {"D/(K Theta)": 0.02, "A/Theta^2": 0.035}  # the ones with the largest corrections ln(l)/l


@pytest.mark.parametrize(
    ("name", "depth"), [("tanh", 1000), ("sin", 1000), ("erf", 1000), ("relu", 200), ("linear", 200)]
)
def test_fits_find_the_predicted_laws(name: str, depth: int) -> None:
    table = exponent_table(name, depth, 0.7, 1.3)
    for quantity in table.quantity.values:
        predicted, fitted = (table.sel(quantity=quantity, source=source) for source in ("predicted", "fitted"))
        coefficient = float(predicted.coefficient)
        if coefficient == 0.0:
            assert float(fitted.coefficient) == 0.0
            continue
        assert float(fitted.exponent) == pytest.approx(float(predicted.exponent), abs=5e-3), quantity
        if math.isfinite(coefficient):
            tolerance = TOLERANCES.get(str(quantity), 0.01)
            assert float(fitted.coefficient) == pytest.approx(coefficient, rel=tolerance), quantity


def test_table_holds_the_flow_that_approaches_the_laws() -> None:
    table, flow = exponent_table("tanh", 1000), deep_flow("tanh", 1000)
    for quantity in table.quantity.values:
        shown = table.sel(quantity=quantity)
        np.testing.assert_array_equal(shown.flow, flow[quantity][table.layer.values - 1])
        deviation = abs(shown.flow_predicted / shown.flow - 1)
        assert float(deviation.sel(layer=1000)) < 0.04, quantity
        assert float(deviation.sel(layer=1000)) < float(deviation.isel(layer=3)), quantity
    assert float(table.flow_predicted.sel(quantity="K1", layer=1000)) == pytest.approx(flow["K1"][-1], rel=1e-12)


def test_laws_of_a_kernel_with_a_curvature_jump() -> None:
    laws, flow = predicted_laws("selu", 400, 0.7, 1.3), deep_flow("selu", 400, 0.7, 1.3)
    for quantity, law in laws.items():
        fitted = fit_depth_law(flow[quantity])
        assert fitted.exponent == pytest.approx(law.exponent, abs=8e-3), quantity
        if math.isfinite(law.coefficient):
            assert fitted.coefficient == pytest.approx(law.coefficient, rel=0.05), quantity


@pytest.mark.parametrize("name", ["gelu", "swish", "mish"])
def test_half_stable_laws_at_the_tuned_kernel(name: str) -> None:
    laws, flow = predicted_laws(name, 1000), deep_flow(name, 1000)
    for quantity in ("K", "V/K^2", "G1/K", "Theta", "F/(K Theta)", "B/Theta^2"):
        assert flow[quantity][-1] == pytest.approx(laws[quantity](1000.0), rel=3e-3), quantity
    for quantity in ("D/(K Theta)", "A/Theta^2"):  # relative corrections fall as 1/l
        deviation = flow[quantity][[499, 999]] / laws[quantity](np.array([500.0, 1000.0])) - 1
        assert deviation[0] / deviation[1] == pytest.approx(2.0, rel=0.05), quantity
        assert abs(deviation[1]) < 0.16, quantity


def test_half_stable_values() -> None:
    laws = predicted_laws("gelu", 100), predicted_laws("swish", 100)
    for quantity, expected in {
        "V/K^2": (4.90422620645042, 4.923187090995383),
        "F/(K Theta)": (1.005945777551417, 1.003531961879165),
        "B/Theta^2": (0.6864877354245846, 0.6813030524242905),
    }.items():
        found = [law[quantity].coefficient for law in laws]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_biases_alone_drive_the_fluctuations_of_odd_activations() -> None:
    """With lambda_b = 0 the leading D and A of tanh vanish."""
    laws = predicted_laws("tanh", 100, lambda_b=0.0)
    assert laws["D/(K Theta)"].coefficient == pytest.approx(0.0, abs=1e-15)
    assert laws["A/Theta^2"].coefficient == pytest.approx(0.0, abs=1e-15)


def test_power_law_is_recovered_from_exact_data() -> None:
    law = DepthLaw(-0.7, -1.3, 0.4)
    layers = np.arange(1.0, 801.0)
    fitted = fit_depth_law(law(layers))
    assert fitted.exponent == pytest.approx(law.exponent, abs=1e-4)
    assert fitted.coefficient == pytest.approx(law.coefficient, rel=1e-3)
    assert fit_depth_law(np.zeros(100)).coefficient == 0.0
    assert math.isnan(fit_depth_law(np.sin(layers)).exponent)
    with pytest.raises(RgflowError, match="10 layers"):
        fit_depth_law(np.ones(10))


def test_rates_without_tuning_are_unequal() -> None:
    """Constant rates: the biases' part of Theta grows as l/(1 + p_perp), the weights' part tends to a constant."""
    depth = 1500
    for name in ("tanh", "sin"):
        small = small_kernel(name)
        network = {
            kind: Network(name, (1,) * (depth + 1), 0.0, 1.0, **kind_rates) for kind, kind_rates in RATES.items()
        }
        bias, weight = (single_input_theory(network[kind], 1.0)["Theta"][-1] for kind in ("b", "W"))
        assert bias == pytest.approx(depth / (1 + small.p_perp), rel=6e-3)
        assert weight == pytest.approx(-1 / (small.a * small.p_perp), rel=6e-3)


RATES = {"b": {"lambda_b": 1.0, "lambda_W": 0.0}, "W": {"lambda_b": 0.0, "lambda_W": 1.0}}


def test_kernel_law_at_depth() -> None:
    network = Network(activation("tanh"), (1,) * 2001, 0.0, 1.0)
    law = small_kernel("tanh").kernel
    found = kernel_flow(network, 1.0)[-1] / np.array([law(2000.0), law.coefficient / 2000.0])
    assert found[0] == pytest.approx(1.0, rel=1e-3)
    assert found[1] != pytest.approx(1.0, rel=1e-3)  # the logarithm matters
