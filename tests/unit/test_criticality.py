"""Critical points: published values to all their digits, the defining equations, and the reasons given for "none"."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_single import gaussian_mean

from rgflow.activations.activation import Activation
from rgflow.activations.registered import names
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.theory.criticality.critical import critical, half_stable_points

HALF_STABLE = {  # C_b, C_W, K*, d chi_parallel/dK, d chi_perp/dK
    "gelu": (0.17292239075606735, 1.9830582574375471, (3 + math.sqrt(17)) / 2, -2.8725283746e-4, 9.333540559939e-3),
    "swish": (0.5551431707215304, 1.9880046782694920, 14.320173618025799, 5.699584379e-6, 1.733027243822e-3),
}
VANISHING = {"tanh": 1.0, "sin": 1.0, "erf": math.pi / 4, "hard_tanh": 1.0, "elu": 1.0}
SCALE_INVARIANT = {"linear": 1.0, "relu": 2.0}


def polynomial(name: str, *coefficients: float) -> Activation:
    """sum_k coefficients[k] z^k as an activation."""
    series = np.polynomial.Polynomial(coefficients)

    def tower(z: np.ndarray, order: int) -> list[np.ndarray]:
        return [series.deriv(k)(z) if k else series(z) for k in range(order + 1)]

    return Activation(name, tower=tower)


@pytest.mark.parametrize("name", HALF_STABLE)
def test_half_stable_points_to_thirteen_digits(name: str) -> None:
    point = critical(name)
    found = (point.C_b, point.C_W, point.K_star, point.chi_parallel_slope, point.chi_perp_slope)
    assert point.universality_class == "half-stable"
    assert "K* = 0 is unstable" in point.reason
    np.testing.assert_allclose(found[1:3], HALF_STABLE[name][1:3], rtol=1e-13)
    np.testing.assert_allclose(found[0], HALF_STABLE[name][0], rtol=1e-11)  # a difference of numbers of order K*
    np.testing.assert_allclose(found[3:], HALF_STABLE[name][3:], rtol=1e-9)


@pytest.mark.parametrize("name", VANISHING)
def test_vanishing_kernel_class(name: str) -> None:
    point = critical(name)
    assert (point.universality_class, point.C_b, point.K_star) == ("K*=0", 0.0, 0.0)
    np.testing.assert_allclose(point.C_W, VANISHING[name], rtol=1e-14)


def test_slopes_of_the_susceptibilities_at_zero_are_taylor_data() -> None:
    assert critical("tanh").chi_parallel_slope == pytest.approx(-4.0)  # 2 a_1
    assert critical("tanh").chi_perp_slope == pytest.approx(-2.0)  # b_1
    assert critical("elu").chi_perp_slope == -math.inf  # chi_perp falls like the square root of K


@pytest.mark.parametrize("name", SCALE_INVARIANT)
def test_scale_invariant_class(name: str) -> None:
    point = critical(name)
    assert (point.universality_class, point.C_b, point.C_W) == ("scale-invariant", 0.0, SCALE_INVARIANT[name])
    assert math.isnan(point.K_star)


@pytest.mark.parametrize("slope", [0.01, 0.2, 1.0, -0.5, 3.0])
def test_leaky_relu(slope: float) -> None:
    np.testing.assert_allclose(critical(activation("leaky_relu", slope=slope)).C_W, 2 / (1 + slope**2), rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sigmoid", "sigma(0) = 0.5 is not 0, so K* = 0 needs C_b < 0; <sigma sigma''>_K < 0 for all K > 0"),
        ("softplus", "<sigma sigma''>_K > 0 for all K > 0, so chi_parallel > chi_perp"),
        ("cos", "<sigma sigma''>_K < 0 for all K > 0, so chi_parallel < chi_perp"),
        ("monomial", "sigma(0) = sigma'(0) = 0, so K* = 0 needs an infinite C_W"),
        ("perceptron", "sigma jumps at z = 0, so chi_perp is infinite"),
    ],
)
def test_no_critical_point(name: str, reason: str) -> None:
    point = critical(name)
    assert point.universality_class == "none"
    assert reason in point.reason
    assert all(math.isnan(value) for value in (point.C_b, point.C_W, point.K_star))


@pytest.mark.parametrize("name", names())
def test_defining_equations(name: str) -> None:
    """K* is fixed and both susceptibilities are 1 there, by an independent quadrature."""
    sigma, point = activation(name), critical(name)
    if point.universality_class == "none":
        return
    K = {"half-stable": point.K_star, "scale-invariant": 2.0, "K*=0": 1e-6}[point.universality_class]
    tolerance = 3e-3 if point.universality_class == "K*=0" else 1e-11
    assert point.C_b + point.C_W * gaussian_mean(lambda z: sigma(z) ** 2, K, sigma.kinks) == pytest.approx(
        K, rel=tolerance
    )
    chi_perp = point.C_W * gaussian_mean(lambda z: sigma.derivative(z, 1) ** 2, K, sigma.kinks)
    chi_parallel = point.C_W * gaussian_mean(lambda z: sigma(z) ** 2 * (z**2 - K), K, sigma.kinks) / (2 * K**2)
    assert chi_perp == pytest.approx(1.0, rel=tolerance)
    assert chi_parallel == pytest.approx(1.0, rel=tolerance)


@settings(max_examples=15, deadline=None)
@given(beta=st.floats(0.12, 20.0))
def test_half_stable_points_scale_with_the_argument(beta: float) -> None:
    """swish with parameter beta is swish(beta z)/beta: K* and C_b scale as 1/beta^2, C_W stays."""
    point, unit = critical(activation("swish", beta=beta)), HALF_STABLE["swish"]
    np.testing.assert_allclose([point.C_b * beta**2, point.C_W, point.K_star * beta**2], unit[:3], rtol=1e-10)


def test_every_half_stable_point_is_listed_and_the_one_of_weakest_drift_chosen() -> None:
    """For a polynomial <sigma sigma''>_K is a polynomial in K, whose roots are found here exactly."""
    coefficients = (0.0, 1.0, -0.2553, -0.0012, 0.0, -0.0045)
    sigma, series = polynomial("quintic", *coefficients), np.polynomial.Polynomial(coefficients)
    moments = [math.prod(range(k - 1, 0, -2)) if k % 2 == 0 else 0 for k in range(9)]
    product = (series * series.deriv(2)).coef
    curvature = np.polynomial.Polynomial([c * m for c, m in zip(product, moments, strict=True)][::2])
    positive = sorted(root.real for root in curvature.roots() if abs(root.imag) < 1e-12 and root.real > 0)
    slope = np.polynomial.Polynomial([c * m for c, m in zip((series.deriv(1) ** 2).coef, moments, strict=True)][::2])
    points = half_stable_points(sigma)
    np.testing.assert_allclose([point.K_star for point in points], positive, rtol=1e-11)
    np.testing.assert_allclose([1 / point.C_W for point in points], slope(np.array(positive)), rtol=1e-11)
    assert len(points) == 2
    drift = [abs(point.chi_parallel_slope) * point.K_star for point in points]
    assert critical(sigma).K_star == points[int(np.argmin(drift))].K_star


def test_unstable_everywhere() -> None:
    point = critical(polynomial("cubic", 0.0, 1.0, 0.0, 1.0))
    assert point.universality_class == "none"
    assert "K* = 0 is unstable" in point.reason
    assert "> 0 for all K > 0" in point.reason


def test_a_zero_of_the_curvature_with_negative_bias_variance_does_not_count() -> None:
    point = critical(polynomial("shifted", 2.0, 1.0, -0.1, 0.1))
    assert point.universality_class == "none"
    assert point.reason.endswith("K* > 0 with <sigma sigma''>_{K*} = 0 needs C_b < 0")


def test_unknown_activation_names_a_near_miss() -> None:
    with pytest.raises(RgflowError, match="gelu"):
        critical("gleu")


def test_critical_point_needs_neither_torch_nor_xarray() -> None:
    code = (
        "import sys; from rgflow.theory.criticality.critical import critical; critical('gelu'); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'xarray', 'pandas', 'scipy.stats')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
