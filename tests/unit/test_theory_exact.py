"""Exact finite-width results against products of chi-squares, each other, and the leading-order theory as n grows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization.exact import (
    deep_linear_moment,
    deep_linear_six_point,
    exact_deep_linear,
    exact_scale_invariant,
    exact_theory,
)
from rgflow.theory.initialization.tensors import initialization_theory

TENSORS = ("K", "Theta", "V", "D", "F", "A", "B")
INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])


def network(activation: str, scale: int = 1, C_b: float = 0.2) -> Network:
    layers = np.arange(4)
    widths = (3, *(scale * n for n in (5, 8, 6, 7)))
    return Network(activation, widths, C_b * (1 + layers), 0.9 + 0.1 * layers, 0.3 + 0.1 * layers, 0.8 - 0.1 * layers)


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_deep_linear_moments_are_products_of_chi_squares(order: int) -> None:
    """E|z^(l)|^2m, all indices contracted, is a product of chi-square moments and G_2m times that of the last layer."""
    widths, C_W = (3, 4, 6, 5, 4), np.array([1.1, 0.7, 1.3, 0.9])
    x = np.array([[0.3, -0.8, 1.1]])
    G = deep_linear_moment(Network("linear", widths, 0.0, C_W), x, order)
    m = order // 2
    chi_squared = np.array([chi2.moment(m, width) for width in widths[1:]])
    moments = (x @ x.T)[0, 0] ** m * np.cumprod((C_W / widths[:-1]) ** m * chi_squared)
    np.testing.assert_allclose(G * chi_squared, moments, rtol=1e-12)


def test_six_point_cumulant_is_the_connected_part() -> None:
    """One neuron: kappa_6 = M_6 - 15 M_4 M_2 + 30 M_2^3 with M_2m = (2m-1)!! G_2m."""
    net = Network("linear", (2, 4, 6, 5), 0.0, 1.2)
    x = [[0.3, 1.1]]
    M_2, M_4, M_6 = (count * deep_linear_moment(net, x, order) for order, count in ((2, 1.0), (4, 3.0), (6, 15.0)))
    np.testing.assert_allclose(
        15.0 * deep_linear_six_point(net, x), M_6 - 15.0 * M_4 * M_2 + 30.0 * M_2**3, rtol=1e-10, atol=1e-15
    )


def test_deep_linear_vertex_is_the_connected_four_point_moment() -> None:
    net = Network("linear", (2, 4, 6, 5, 3), 0.0, 1.2)
    x = [[0.3, 1.1]]
    G_2, G_4 = deep_linear_moment(net, x, 2), deep_linear_moment(net, x, 4)
    V = exact_deep_linear(net, x)["V"].to_numpy().reshape(-1)
    np.testing.assert_allclose(V / np.array(net.widths[:-1]), G_4 - G_2**2, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("activation", "C_W", "v"), [("linear", 1.0, 2.0), ("relu", 2.0, 5.0)])
def test_all_order_law_of_the_critical_vertex(activation: str, C_W: float, v: float) -> None:
    widths = (1, 3, 5, 2, 7, 4)
    exact = exact_scale_invariant(Network(activation, widths, 0.0, C_W), [[1.3]])
    V, K = (exact[name].to_numpy().reshape(-1) for name in ("V", "K"))
    product = np.cumprod([1.0, *(1.0 + v / n for n in widths[1:-1])])
    np.testing.assert_allclose(1.0 + V / np.array(widths[:-1]) / K**2, product, rtol=1e-12)


def test_one_linear_input_is_both_results() -> None:
    both = (exact(network("linear"), INPUTS[:1]) for exact in (exact_deep_linear, exact_scale_invariant))
    deep_linear, scale_invariant = both
    for name in TENSORS:
        np.testing.assert_allclose(deep_linear[name], scale_invariant[name], rtol=1e-12, atol=1e-14, err_msg=name)


def test_exact_linear_tensors_of_repeated_inputs_repeat() -> None:
    one = exact_deep_linear(network("linear"), INPUTS[:1])
    two = exact_deep_linear(network("linear"), INPUTS[[0, 0]])
    for name in TENSORS:
        first = one[name].to_numpy().reshape(-1, *(1,) * (two[name].ndim - 1))
        np.testing.assert_allclose(two[name], np.broadcast_to(first, two[name].shape), rtol=1e-12, err_msg=name)


CASES = [("linear", exact_deep_linear, 2), ("relu", exact_scale_invariant, 1), ("leaky_relu", exact_scale_invariant, 1)]


@pytest.mark.parametrize(("activation", "exact", "samples"), CASES)
def test_leading_order_is_the_wide_limit_and_the_deviation_halves(activation: str, exact: Any, samples: int) -> None:
    inputs = INPUTS[:samples]
    leading = initialization_theory(network(activation), inputs, tensors=TENSORS)
    deviations = [exact(network(activation, scale), inputs) - leading for scale in (10_000, 20_000)]
    for name in TENSORS:
        coarse, fine = (deviation[name].to_numpy() for deviation in deviations)
        size = np.abs(leading[name].to_numpy()).max()
        np.testing.assert_allclose(fine, coarse / 2, atol=1e-7 * size, err_msg=name)
        np.testing.assert_allclose(coarse, 0.0, atol=1e-3 * size, err_msg=name)
        if name not in ("K", "Theta"):
            assert np.abs(coarse).max() > 1e-6 * size, f"{name} does not know the width"


def test_exact_theory_takes_the_law_that_there_is() -> None:
    linear, relu = network("linear", C_b=0.0), network("relu")
    assert exact_theory(relu, INPUTS[:1]).identical(exact_scale_invariant(relu, INPUTS[:1]))
    assert exact_theory(linear, INPUTS).identical(exact_deep_linear(linear, INPUTS))
    one = exact_theory(linear, INPUTS[:1])
    fan_in = np.array(linear.widths[:-1])
    np.testing.assert_allclose(one["V6"][:, 0], fan_in**2 * deep_linear_six_point(linear, INPUTS[:1]))
    assert "V6" not in exact_theory(network("linear"), INPUTS[:1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_deep_linear(network("tanh"), INPUTS), "tanh; these results hold for linear"),
        (lambda: exact_scale_invariant(network("tanh"), INPUTS[:1]), "tanh is not scale-invariant"),
        (lambda: exact_scale_invariant(network("relu"), INPUTS), "there are 2 inputs"),
        (lambda: deep_linear_moment(network("linear"), INPUTS[:1], 4), "C_b"),
        (lambda: deep_linear_moment(network("linear", C_b=0.0), INPUTS, 4), "there are 2 inputs"),
        (lambda: deep_linear_moment(network("linear", C_b=0.0), INPUTS[:1], 3), "order = 3"),
    ],
)
def test_results_outside_their_range_are_refused(call: Any, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        call()
