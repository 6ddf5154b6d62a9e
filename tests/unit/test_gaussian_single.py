"""One-input Gaussian means against mpmath and closed forms."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from rgflow.activations.registered import names
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian.single import single_mean

REFERENCE = {
    "tanh": mpmath.tanh,
    "swish": lambda z: z / (1 + mpmath.exp(-z)),
    "gelu": lambda z: z * mpmath.ncdf(z),
    "elu": lambda z: z if z > 0 else mpmath.expm1(z),
    "hard_tanh": lambda z: max(-1, min(1, z)),
}


@pytest.mark.parametrize("K", [1e-3, 0.7, 20.0])
@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_fourth_moment_to_rounding(name: str, K: float) -> None:
    sd = math.sqrt(K)
    edges = sorted({0.0, *range(-14, 15), *(k / sd for k in range(-8, 9) if abs(k / sd) < 14)})
    with mpmath.workdps(25):
        exact = mpmath.quad(lambda u: REFERENCE[name](sd * u) ** 4 * mpmath.npdf(u), edges)
    assert single_mean(activation(name), (0, 0, 0, 0), K) == pytest.approx(float(exact), rel=5e-15)


@pytest.mark.parametrize("K", [1e-6, 0.3, 4.0, 300.0])
def test_closed_forms(K: float) -> None:
    assert single_mean(activation("erf"), (0, 0), K) == pytest.approx(
        2 / math.pi * math.asin(2 * K / (1 + 2 * K)), rel=1e-13
    )
    assert single_mean(activation("sin"), (0, 0), K) == pytest.approx(-math.expm1(-2 * K) / 2, rel=1e-13)
    assert single_mean(activation("relu"), (0, 0, 0, 0), K) == pytest.approx(1.5 * K**2, rel=1e-13)
    assert single_mean(activation("monomial", power=3), (0, 0), K) == pytest.approx(15 * K**3, rel=1e-13)
    cubed = single_mean(activation("hard_tanh"), (0, 2), K)  # only the two delta functions
    assert cubed == pytest.approx(-2 * math.exp(-0.5 / K) / math.sqrt(2 * math.pi * K), rel=1e-13)


@pytest.mark.parametrize("name", [name for name in names() if name != "perceptron"])
def test_variance_derivative_is_price(name: str) -> None:
    """d<sigma^2>/dK = <sigma'^2 + sigma sigma''>, delta functions at kinks included."""
    act, K, h = activation(name), 0.8, 1e-4
    slope = (single_mean(act, (0, 0), K + h) - single_mean(act, (0, 0), K - h)) / (2 * h)
    assert single_mean(act, (1, 1), K) + single_mean(act, (0, 2), K) == pytest.approx(slope, abs=2e-8)


def test_without_variance_the_input_is_zero_for_certain() -> None:
    assert single_mean(activation("tanh"), (1, 1), 0.0) == 1.0
    assert single_mean(activation("tanh"), (0, 0), 0.0) == 0.0
    assert single_mean(activation("relu"), (1, 1), 0.0) == 0.0
    np.testing.assert_allclose(single_mean(activation("leaky_relu", slope=0.2), (1, 1), [0.0, 1e-300]), [0.04, 0.52])
    assert single_mean(activation("sigmoid"), (0, 0), 0.0) == pytest.approx(0.25, rel=1e-14)


def test_array_of_variances_matches_numbers() -> None:
    K = np.array([0.0, 1e-3, 1.0, 50.0])
    for name in ("gelu", "elu"):
        means = single_mean(activation(name), (0, 1, 1), K)
        np.testing.assert_allclose(means, [single_mean(activation(name), (0, 1, 1), k) for k in K], rtol=1e-13)


@pytest.mark.parametrize("K", [-1.0, math.nan, math.inf])
def test_bad_variance(K: float) -> None:
    with pytest.raises(RgflowError, match="allowed: finite, >= 0"):
        single_mean(activation("tanh"), (0, 0), K)


def test_divergent_mean_is_an_error() -> None:
    with pytest.raises(RgflowError, match="perceptron"):
        single_mean(activation("perceptron"), (1, 1), 1.0)
