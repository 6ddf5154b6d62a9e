"""Nearly-Gaussian actions against exact radial and product integrals: errors must fall as the square of the vertex."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rgflow.errors import RgflowError
from rgflow.theory.initialization.action import (
    Action,
    correlators,
    couplings,
    covariance,
    density_ratio,
    marginalize,
    mean,
)

K2 = np.array([[1.0, 0.4], [0.4, 0.8]])


def symmetric_vertex(seed: int, inputs: int = 2) -> np.ndarray:
    """Random tensor with the symmetries of V: within pairs and under exchange of the pairs."""
    V = np.random.default_rng(seed).normal(size=(inputs,) * 4)
    V = V + V.transpose(1, 0, 2, 3)
    V = V + V.transpose(0, 1, 3, 2)
    return (V + V.transpose(2, 3, 0, 1)) / 8


def radial_correlators(g: float, v: float, m: int) -> tuple[float, float]:
    """G and V/n = E[z_i^2 z_j^2] - G^2 of exp(-g r^2/2 + v r^4/8) for m neurons, by midpoints in the radius."""
    r = (np.arange(20000) + 0.5) * 5e-4
    log_p = -g * r**2 / 2 + v * r**4 / 8 + (m - 1) * np.log(r)
    p = np.exp(log_p) / np.sum(np.exp(log_p))
    second, fourth = np.sum(p * r**2) / m, np.sum(p * r**4) / (m * (m + 2))
    return float(second), float(fourth - second**2)


@pytest.mark.parametrize("m", [1, 3, 6])
def test_correlators_of_one_input_agree_with_radial_integrals(m: int) -> None:
    """v < 0 keeps the integrals finite; the error of first order falls by four when v is halved."""
    errors = []
    for v in (-4e-3, -2e-3):
        G, V = correlators(Action(np.eye(1), np.full((1, 1, 1, 1), v), m))
        errors.append(np.array(radial_correlators(1.0, v, m)) - [G.item(), V.item()])
    assert np.abs(errors[1]).max() < 60 * (m + 2) ** 2 * 4e-6
    np.testing.assert_allclose(errors[0] / errors[1], 4.0, rtol=0.15)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_one_input_couplings_in_closed_form(m: int) -> None:
    G, V, n = 1.7, 3.0, 200.0
    action = couplings(G, V, n, m)
    assert action.g.item() == pytest.approx((1 + (m + 2) / 2 * V / (n * G**2)) / G)
    assert action.v.item() == pytest.approx(V / (n * G**4))


@pytest.mark.parametrize("m", [1, 4])
def test_correlators_undo_couplings_up_to_second_order(m: int) -> None:
    V = symmetric_vertex(0)
    errors = []
    for width in (1000.0, 2000.0):
        G, V_over_n = correlators(couplings(K2, V, width, m))
        errors.append([np.abs(G - K2).max(), np.abs(V_over_n - V / width).max()])
    np.testing.assert_allclose(np.divide(*errors), 4.0, rtol=0.05)


def test_several_inputs_against_brute_force_moments() -> None:
    """E[z_ia z_ib] under exp(-S) expanded to first order in v, all Wick pairings done by index sums over m neurons."""
    m, width = 3, 500.0
    action = couplings(K2, symmetric_vertex(1), width, m)
    propagator = np.einsum("ij,ab->iajb", np.eye(m), np.linalg.inv(action.g)).reshape(2 * m, 2 * m)
    v = np.einsum("abcd,ij,kl->iajbkcld", action.v, np.eye(m), np.eye(m)).reshape((2 * m,) * 4)
    connected = np.einsum("pqrs,pq,rx,sy->xy", v, *[propagator] * 3) + np.einsum(
        "pqrs,rs,px,qy->xy", v, *[propagator] * 3
    )
    connected += sum(
        np.einsum(f"pqrs,{pair}->xy", v, *[propagator] * 3) for pair in ("pr,qx,sy", "ps,qx,ry", "qr,px,sy", "qs,px,ry")
    )
    first_order = (propagator + (connected + connected.T) / 8).reshape(m, 2, m, 2)[0, :, 0, :]
    np.testing.assert_allclose(correlators(action)[0], first_order, rtol=1e-13)


def test_marginalizing_is_the_same_as_looking_at_fewer_neurons() -> None:
    V = symmetric_vertex(2)
    errors = []
    for width in (1000.0, 2000.0):
        running = marginalize(couplings(K2, V, width, 6), 2)
        direct = couplings(K2, V, width, 2)
        assert running.neurons == 2
        np.testing.assert_array_equal(running.v, direct.v)
        errors.append(np.abs(running.g - direct.g).max())
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)


def test_running_of_one_input_by_integrating_out_a_neuron() -> None:
    """The exact marginal density of two neurons' action fixes the one-neuron couplings: g shifts by v/(2g)."""
    g, v = 1.0, -1e-3
    z, hidden = np.linspace(-1.0, 1.0, 41), np.linspace(-10.0, 10.0, 4001)
    radius = z[:, None] ** 2 + hidden**2
    density = np.exp(-g * radius / 2 + v * radius**2 / 8).sum(axis=1)
    fit = np.polynomial.polynomial.polyfit(z**2, -np.log(density), 3)
    reduced = marginalize(Action(np.full((1, 1), g), np.full((1, 1, 1, 1), v), 2), 1)
    assert 2 * fit[1] == pytest.approx(reduced.g.item(), abs=5 * v**2)
    assert abs(2 * fit[1] - g) > 100 * v**2
    assert -8 * fit[2] == pytest.approx(reduced.v.item(), rel=1e-2)


def test_value_of_the_action() -> None:
    action = Action(np.eye(1), np.full((1, 1, 1, 1), 0.1), 2)
    assert action([[1.0], [2.0]]) == pytest.approx(5 / 2 - 0.1 * 25 / 8)
    with pytest.raises(RgflowError, match=r"needs \(..., 2, 1\)"):
        action([[1.0, 2.0]])


def test_polynomial_averages_are_the_correlators() -> None:
    G1, V, n = np.array([[0.3, -0.1], [-0.1, 0.2]]), symmetric_vertex(3), 50.0
    G = K2 + G1 / n
    assert mean(lambda z: z[:, 0] * z[:, 1], K2, G1, V, n) == pytest.approx(G[0, 1])
    wick = G[0, 0] * K2[1, 1] + K2[0, 0] * (G - K2)[1, 1] + 2 * K2[0, 1] ** 2 + 4 * K2[0, 1] * (G - K2)[0, 1]
    fourth = wick + (V[0, 0, 1, 1] + 2 * V[0, 1, 0, 1]) / n
    assert mean(lambda z: z[:, 0] ** 2 * z[:, 1] ** 2, K2, G1, V, n) == pytest.approx(fourth)
    found = covariance(lambda z: z[:, 0] * z[:, 1], lambda z: z[:, 1] ** 2, K2, V, n)
    assert found == pytest.approx(V[0, 1, 1, 1] / n)


def test_average_of_a_transcendental_observable() -> None:
    """E[cos z] = exp(-K/2) (1 - G1/(2n) + V/(8n)) for one input."""
    K, G1, V, n = 1.3, 0.4, 2.0, 100.0
    expected = math.exp(-K / 2) * (1 - G1 / (2 * n) + V / (8 * n))
    assert mean(lambda z: np.cos(z[:, 0]), K, G1, V, n) == pytest.approx(expected, rel=1e-12)


def test_density_ratio_is_normalized_and_one_in_the_gaussian_limit() -> None:
    z = np.linspace(-12, 12, 4001)
    weights = np.exp(-(z**2) / 2.6) / math.sqrt(2.6 * math.pi) * (z[1] - z[0])
    ratio = density_ratio(z[:, None], 1.3, 0.4, 2.0, 100.0)
    assert np.sum(weights * ratio) == pytest.approx(1.0)
    np.testing.assert_array_equal(density_ratio(z[:, None], 1.3, 0.0, 0.0, 100.0), 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(2), np.zeros((2, 2)), 10, 1), r"vertex of shape \(2, 2\)"),
        ((np.ones((2, 2)), np.zeros((2, 2, 2, 2)), 10, 1), "not positive definite"),
        ((1.0, 1.0, 0, 1), "width = 0"),
        ((1.0, 1.0, 10, 0), "neurons = 0"),
    ],
)
def test_bad_correlators(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        couplings(*arguments)  # type: ignore[arg-type]


def test_bad_requests() -> None:
    with pytest.raises(RgflowError, match="allowed: 1 to 3"):
        marginalize(couplings(1.0, 1.0, 100, 3), 4)
    with pytest.raises(RgflowError, match="at most 3"):
        mean(lambda z: z[:, 0], np.eye(4), np.zeros((4, 4)), np.zeros((4,) * 4), 10)
