"""Two inputs: the midpoint basis against the full kernel, and the finite-angle laws of scale-invariant activations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import critical
from rgflow.theory.criticality.flow import angle, from_midpoint, midpoint_flow, pair_flow, to_midpoint

entries = st.floats(-5.0, 5.0)


@given(st.tuples(entries, entries, entries))
def test_midpoint_basis_round_trip(components: tuple[float, float, float]) -> None:
    K = from_midpoint(components)
    np.testing.assert_allclose(K, K.T)
    np.testing.assert_allclose(to_midpoint(K), components, atol=1e-14)


def test_midpoint_components_of_two_inputs() -> None:
    """For K_ab = x_a.x_b and x_+- = x0 +- dx/2: K[0] = x0.x0, K[1] = x0.dx, K[2] = dx.dx/4."""
    x0, dx = np.array([0.3, -1.2, 0.7]), np.array([0.1, 0.4, -0.2])
    x = np.stack([x0 + dx / 2, x0 - dx / 2])
    np.testing.assert_allclose(to_midpoint(x @ x.T), [x0 @ x0, x0 @ dx, dx @ dx / 4])


@pytest.mark.parametrize("name", ["tanh", "gelu", "sin"])
def test_midpoint_flow_is_the_limit_of_the_full_kernel(name: str) -> None:
    """Relative deviations of K[1] and K[2] fall as the square of the distance of the inputs."""
    network = Network(name, (2,) * 5, 0.1, 1.4)
    deviations = []
    for epsilon in (2e-2, 1e-2):
        first = np.array([1.1, 0.7 * epsilon, 0.9 * epsilon**2])
        near = midpoint_flow(network, first)[-1]
        full = to_midpoint(pair_flow(network, from_midpoint(first))[-1])
        deviations.append(full / near - 1)
    assert np.abs(deviations[1]).max() < 1e-3
    np.testing.assert_allclose(deviations[0][1:] / deviations[1][1:], 4.0, rtol=1e-2)


def test_source_of_the_second_difference() -> None:
    """Without K[2], the flow of K[1]^2 still produces one: dropping h would leave it zero."""
    flow = midpoint_flow(Network("tanh", (2, 2, 2), 0.0, 1.0), (1.0, 0.1, 0.0))
    assert flow[1, 2] < 0.0
    no_difference = midpoint_flow(Network("tanh", (2, 2, 2), 0.0, 1.0), (1.0, 0.0, 0.01))
    assert no_difference[1, 2] > 0.0


def test_angle_between_relu_inputs() -> None:
    """cos' = (sin + (pi - angle) cos)/pi at criticality, and the angle falls as 3 pi/l."""
    depth, start = 400, 1.2
    first = np.array([[1.0, math.cos(start)], [math.cos(start), 1.0]])
    angles = angle(pair_flow(Network("relu", (1,) * (depth + 1), 0.0, 2.0), first))
    assert angles[0] == pytest.approx(start, rel=1e-14)
    step = (np.sin(angles) + (math.pi - angles) * np.cos(angles)) / math.pi
    np.testing.assert_allclose(np.cos(angles[1:]), step[:-1], rtol=1e-12)
    assert depth * angles[-1] == pytest.approx(3 * math.pi, rel=0.05)
    assert depth * angles[-1] / (depth / 2 * angles[depth // 2 - 1]) == pytest.approx(1.0, rel=0.03)


def test_angle_keeps_small_angles() -> None:
    assert angle([[1.0, 1.0], [1.0, 1.0]]) == 0.0
    assert angle([[1.0, -2.0], [-2.0, 4.0]]) == pytest.approx(math.pi)
    assert angle(from_midpoint([1.0, 0.0, 1e-12])) == pytest.approx(2e-6, rel=1e-3)


def test_bad_first_layers() -> None:
    network = Network("gelu", (1, 1, 1), critical("gelu").C_b, critical("gelu").C_W)
    with pytest.raises(RgflowError, match=r"K\[0\] = 0.0 in layer 1"):
        midpoint_flow(network, (0.0, 1.0, 1.0))
    with pytest.raises(RgflowError, match=r"shape \(3, 3\)"):
        pair_flow(network, np.eye(3))
