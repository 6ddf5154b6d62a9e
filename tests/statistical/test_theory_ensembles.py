"""Theory against ensembles of explicit weights: exact results at tiny widths, leading order after removing 1/n."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import ndtr
from weight_ensemble import extrapolated, largest_z, sampled_kernel, sampled_residual, sampled_tensors

from rgflow.network import Network
from rgflow.theory.initialization.exact import exact_deep_linear, exact_scale_invariant
from rgflow.theory.initialization.tensors import initialization_theory

INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
CONNECTED = ("V", "D", "F", "A", "B")


def density(z: Any) -> Any:
    return np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi)


# sigma and sigma' written out here, so that the experiment shares nothing with the package
FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0.0) * 1.0),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * density(z)),
}


def network(activation: str, hidden: tuple[int, ...], scale: int = 1) -> Network:
    """Hyperparameters that differ in every layer, and unequal widths."""
    layers = np.arange(len(hidden) + 1)
    widths = (3, *(scale * n for n in hidden), 1)
    return Network(activation, widths, 0.1 + 0.05 * layers, 1.2 + 0.2 * layers, 0.3 + 0.1 * layers, 0.8 - 0.1 * layers)


@pytest.mark.parametrize(
    ("activation", "exact", "samples"),
    [("linear", exact_deep_linear, 2), ("linear", exact_scale_invariant, 1), ("relu", exact_scale_invariant, 1)],
)
def test_exact_results_hold_at_tiny_widths(activation: str, exact: Any, samples: int) -> None:
    """At widths 5-8-6 the leading order is off by tens of standard errors; the exact results are not."""
    net, inputs = network(activation, (5, 8, 6)), INPUTS[:samples]
    sampled = sampled_tensors(net, inputs, *FUNCTIONS[activation], members=60_000, seed=11)
    expected = exact(net, inputs).isel(layer=-1)
    leading = initialization_theory(net, inputs, tensors=CONNECTED).isel(layer=-1)
    for name, estimate in sampled.items():
        assert largest_z(estimate, expected[name]) < 5.0, name
    assert largest_z(sampled["B"], leading["B"]) > 10.0


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_all_tensors_to_leading_order(activation: str) -> None:
    """Estimates at n and 2n, extrapolated, meet the theory; the deviation at 2n is smaller than at n.

    The allowance covers the 1/n^2 that extrapolation leaves (estimated from the size of the removed term).
    """
    hidden = (16, 32)  # growing, so that what is carried from layer to layer weighs more
    theory = initialization_theory(network(activation, hidden), INPUTS).isel(layer=-1)
    narrow, wide = (
        sampled_tensors(network(activation, hidden, scale), INPUTS, *FUNCTIONS[activation], members=8000, seed=scale)
        for scale in (1, 2)
    )
    for name in ("K", "Theta", *CONNECTED):
        assert largest_z(extrapolated(narrow[name], wide[name]), theory[name], allowance=0.02) < 5.0, name
    for name in ("F", "B"):  # the least noisy two
        deviation = [np.linalg.norm(estimate[name].value - theory[name].to_numpy()) for estimate in (narrow, wide)]
        assert 0.25 < deviation[1] / deviation[0] < 0.75, name
    assert largest_z(narrow["B"], theory["B"]) > 5.0, "the experiment is blind to 1/n"


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_next_to_leading_ntk_mean(activation: str) -> None:
    """E[H] - Theta is Theta1/n: without it the sampled mean of two inputs is rejected."""
    net = network(activation, (24, 32, 20))
    theory = initialization_theory(net, INPUTS).isel(layer=-1)
    sampled = sampled_tensors(net, INPUTS, *FUNCTIONS[activation], members=15_000, seed=5)["Theta"]
    assert largest_z(sampled, theory["Theta"] + theory["Theta1"] / net.widths[-2], allowance=0.002) < 5.0
    assert largest_z(sampled, theory["Theta"]) > 5.0


@pytest.mark.parametrize(
    ("activation", "xi"),
    [("tanh", (1.0, 0.0)), ("relu", (1.0, 0.0)), ("gelu", (0.8, 0.9)), ("relu", (0.8, 0.9))],
)
def test_next_to_leading_metric(activation: str, xi: tuple[float, float]) -> None:
    """E[z z] - K is G1/n: without it the sampled mean is rejected."""
    net = residual_network(activation, 16, xi)
    theory = initialization_theory(net, INPUTS).isel(layer=-1)
    sampled = sampled_kernel(net, INPUTS, xi, FUNCTIONS[activation][0], members=100_000, seed=3)
    assert largest_z(sampled, theory["K"] + theory["G1"] / 16, allowance=0.003) < 5.0
    assert largest_z(sampled, theory["K"]) > 4.5


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_residual_network(activation: str) -> None:
    """T3 and V of a residual network; with T3 = 0 the vertex of relu and gelu would be rejected."""
    xi = (0.8, 0.9)
    theory = initialization_theory(residual_network(activation, 1, xi), INPUTS).isel(layer=-1)
    narrow, wide = (
        sampled_residual(
            residual_network(activation, width, xi), INPUTS, xi, FUNCTIONS[activation][0], members=20_000, seed=width
        )
        for width in (24, 48)
    )
    for name in ("T3", "V"):
        assert largest_z(extrapolated(narrow[name], wide[name]), theory[name], allowance=0.02) < 5.0, name


def residual_network(activation: str, width: int, xi: tuple[float, float]) -> Network:
    return Network(activation, (3, *[width] * 4), 0.1, 1.0 + 0.2 * np.arange(4), 0.0, 1.0, *xi)
