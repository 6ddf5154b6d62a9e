"""Fixed points and phases: closed forms, agreement with iterating the flow, and the edges of the plane."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import critical
from rgflow.theory.criticality.phase_diagram import fixed_point, phase_diagram
from rgflow.theory.depth.single_input import kernel_flow


def test_scale_invariant_fixed_points_in_closed_form() -> None:
    C_b, C_W = np.array([0.0, 0.3])[:, None], np.array([0.5, 1.9, 2.0, 2.5])
    expected = [[0.0, 0.0, 1.0, math.inf], [0.3 / 0.75, 0.3 / 0.05, math.inf, math.inf]]
    np.testing.assert_allclose(fixed_point("relu", C_b, C_W), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "C_b", "C_W"),
    [("tanh", 0.1, 1.5), ("tanh", 0.0, 3.0), ("sin", 0.3, 0.7), ("gelu", 0.2, 1.5), ("hard_tanh", 0.05, 2.0)],
)
def test_fixed_point_is_where_the_flow_ends(name: str, C_b: float, C_W: float) -> None:
    network = Network(name, (1,) * 401, C_b, C_W)
    deep = kernel_flow(network, (1.0 - C_b) / C_W if C_b < 1 else 0.0)[-1]
    assert fixed_point(name, C_b, C_W) == pytest.approx(deep, rel=1e-12)


def test_both_susceptibilities_are_one_at_criticality() -> None:
    diagram = phase_diagram("erf", [0.0], [critical("erf").C_W])
    assert diagram.K_star.item() == 0.0
    assert diagram.chi_perp.item() == pytest.approx(1.0, abs=1e-11)
    assert diagram.chi_parallel.item() == pytest.approx(1.0, abs=1e-11)


def test_half_stable_point_does_not_attract_from_its_unstable_side() -> None:
    """GELU: d chi_parallel/dK < 0 at K*, so kernels below K* leave it; just above the critical C_b there is one above."""
    point = critical("gelu")
    assert fixed_point("gelu", point.C_b, point.C_W) < 0.9 * point.K_star
    assert fixed_point("gelu", point.C_b + 1e-3, point.C_W) > point.K_star


def test_phases_of_tanh() -> None:
    diagram = phase_diagram("tanh", np.linspace(0.0, 0.2, 5), np.linspace(0.5, 3.0, 6))
    assert diagram.sizes == {"C_b": 5, "C_W": 6}
    origin = diagram.sel(C_b=0.0, C_W=0.5)
    assert origin.K_star == 0.0
    assert origin.chi_perp == pytest.approx(0.5)
    assert origin.xi_perp == pytest.approx(-1 / math.log(0.5))
    assert bool((diagram.chi_parallel < 1.0).where(diagram.C_W != 1.0, True).all())  # every fixed point is stable
    chaotic = diagram.sel(C_b=0.0, C_W=3.0)
    assert chaotic.chi_perp > 1.0
    assert chaotic.xi_perp < 0.0
    assert bool((diagram.K_star.diff("C_W") >= 0.0).all())


def test_unbounded_kernel_has_no_susceptibility() -> None:
    diagram = phase_diagram("relu", [0.1], [2.5])
    assert np.isinf(diagram.K_star).all()
    assert np.isnan(diagram.chi_perp).all()


def test_refuses_impossible_variances() -> None:
    with pytest.raises(RgflowError, match="C_b must not be negative and C_W must be positive"):
        fixed_point("tanh", -0.1, 1.0)
    with pytest.raises(RgflowError, match="C_b must not be negative and C_W must be positive"):
        fixed_point("tanh", 0.1, [1.0, 0.0])
