"""Every engine of Gaussian means states an error that bounds the true one, on cases that it was not made for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from dense_averages import DenseAverages
from hypothesis import given, settings
from hypothesis import strategies as st

import rgflow
from rgflow.activations.activation import Activation
from rgflow.activations.jets import power_tower
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian import kinked
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.kinked import KinkedMoments
from rgflow.gaussian.moments import product_scales, subsets
from rgflow.gaussian.single import estimated_means, single_mean
from rgflow.theory.criticality.critical import _zeros_of_curvature
from rgflow.theory.criticality.phase_diagram import fixed_point
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.learning.output import output_kernels

FUNCTIONS: dict[str, Any] = {
    "tanh": mp.tanh,
    "gelu": lambda z: z * mp.ncdf(z),
    "elu": lambda z: z if z > 0 else mp.expm1(z),
    "hard_tanh": lambda z: max(min(z, 1), -1),
    "softplus": lambda z: mp.log1p(mp.exp(z)) if z < 30 else z + mp.log1p(mp.exp(-z)),
}


def exact_square(function: Any, K: float) -> float:
    """<sigma^2>_K in 25 digits, from kink to kink and over short pieces."""
    with mp.workdps(25):
        sd = mp.sqrt(K)
        pieces = sorted({*(mp.mpf(k) / 4 for k in range(-48, 49)), *(z / sd for z in (-1, 1) if abs(z / sd) < 12)})
        return float(mp.quad(lambda u: function(sd * u) ** 2 * mp.npdf(u), pieces))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("K", [1e-3, 0.7, 40.0])
def test_means_of_one_input(name: str, K: float) -> None:
    (mean,), (error,), _ = estimated_means(activation(name), ((0, 0),), np.array([K]))
    assert abs(mean[0] - exact_square(FUNCTIONS[name], K)) <= error[0] < 1e-13 * mean[0]


def steep(factor: float, radius: float) -> Activation:
    """tanh(factor z) with a declared radius that may be wrong."""

    def tower(z: Any, order: int) -> list[Any]:
        return [factor**p * part for p, part in enumerate(activation("tanh").derivatives(factor * z, order))]

    return Activation(f"steep_{factor:g}", tower=tower, analytic_radius=radius, quadrature_radius=radius)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.floats(0.2, 30.0), st.floats(0.05, 20.0), st.floats(1e-3, 100.0), st.sampled_from([(0, 0), (1, 1), (0, 0, 1, 1)])
)
def test_wrongly_declared_radius_is_refined_or_refused(
    factor: float, radius: float, K: float, orders: tuple[int, ...]
) -> None:
    """<...>_K of tanh(factor z) is that of tanh at factor^2 K times factor for every derivative."""
    exact = single_mean(activation("tanh"), orders, factor**2 * K) * factor ** sum(orders)
    try:
        found = single_mean(steep(factor, radius), orders, K)
    except RgflowError:
        assert radius > 16 * np.pi / (2 * factor)
        return
    assert found == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("factor", [4.0, 10.0])
def test_theory_of_a_steep_activation_from_a_file(factor: float, tmp_path: Path) -> None:
    """z -> factor z turns the network with tanh(factor z) into one with tanh, whose variances and rates are factor^2 larger."""
    (tmp_path / "own.py").write_text(f"import torch\ndef steep(z):\n    return torch.tanh({factor} * z)\n")
    own = rgflow.Network(f"{tmp_path}/own.py:steep", (5, 9, 9, 9), 0.1, 0.3, 0.2, 1.0)
    scale = factor**2
    plain = rgflow.Network("tanh", (5, 9, 9, 9), 0.1 * scale, 0.3 * scale, 0.2 * scale, scale)
    found, expected = single_input_theory(own, 1.0), single_input_theory(plain, 1.0)
    for name, power in {"K": 1, "G1": 1, "V": 2, "Theta": 1, "Theta1": 1, "D": 2, "F": 2, "A": 2, "B": 2}.items():
        np.testing.assert_allclose(found[name], expected[name] / scale**power, rtol=1e-9, err_msg=name)


def test_kinks_that_are_not_declared_are_refused() -> None:
    def tower(z: Any, order: int) -> list[Any]:
        return [np.abs(z) + z, np.sign(z) + 1.0, *[0.0 * z] * order][: order + 1]

    bent = Activation("bent", tower=tower, analytic_radius=1.0, quadrature_radius=1.0)
    with pytest.raises(RgflowError, match="declare the kinks or analytic_radius"):
        single_input_theory(rgflow.Network(bent, (5, 9, 9, 9), 0.1, 0.3), 1.0)


def test_means_that_need_too_many_nodes_are_one_line() -> None:
    with pytest.raises(RgflowError, match="more than 2097152 nodes; scale the inputs down"):
        single_mean(activation("tanh"), (0, 0), 1e14)


@pytest.mark.parametrize("name", ["elu", "selu", "hard_tanh"])
@pytest.mark.parametrize("K", [1e-4, 1.0, 9.0])
@pytest.mark.parametrize("count", [2, 4, 6])
def test_coarse_nodes_of_kinked_pairs_state_their_error(
    name: str, K: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    S = K * np.array([[1.0, 0.6, -0.2], [0.6, 1.3, 0.1], [-0.2, 0.1, 0.4]])
    exact = [KinkedMoments(activation(name), S, 1e-9).pair(p, p) for p in (0, 1)]
    monkeypatch.setattr(kinked, "_COUNT", count)
    monkeypatch.setattr(kinked, "_CONTROL_COUNT", count + 2)
    for p in (0, 1):
        coarse = KinkedMoments(activation(name), S, 10.0)
        size = np.sqrt(exact[p].diagonal())
        assert np.max(np.abs(coarse.pair(p, p) - exact[p]) / np.outer(size, size)) <= coarse.error


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.integers(0, 1000), st.sampled_from(["elu", "hard_tanh"]))
def test_coarse_nodes_of_kinked_triples_state_their_error(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(4, 6)) * rng.uniform(0.1, 2.0, size=(4, 1))
    K = x @ x.T / 6
    exact = KinkedMoments(activation(name), K, 1e-7).products(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinked, "_TENSOR_COUNT", 4)
        patch.setattr(kinked, "_TENSOR_CONTROL_COUNT", 6)
        coarse = KinkedMoments(activation(name), K, 10.0)
        found = coarse.products(3)
    scales = np.array([product_scales(coarse._fourth_roots[chosen], 3) for chosen in subsets(4, 3)])
    assert np.max(np.abs(found - exact) / scales) <= coarse.error


@pytest.mark.parametrize("angle", [1e-3, 1e-6, 1e-9, 0.0])
def test_pairs_of_relu_with_a_known_angle(angle: float) -> None:
    """<relu' relu'> is (pi - angle) / 2 pi, which K alone tells to the root of rounding."""
    K = np.array([[1.0, np.cos(angle)], [np.cos(angle), 1.0]])
    apart = np.array([[0.0, 2 * np.sin(angle / 2) ** 2], [2 * np.sin(angle / 2) ** 2, 0.0]])
    known = Expectations(activation("relu"), K, apart=apart)
    assert known.pair(1)[0, 1] == pytest.approx((np.pi - angle) / (2 * np.pi), rel=1e-15)
    guessed = Expectations(activation("relu"), K)
    assert guessed.pair(1)[0, 1] == pytest.approx((np.pi - angle) / (2 * np.pi), abs=2e-8)


@pytest.mark.parametrize(("low", "high"), [(1.07, 1.0701), (1.3, 1.301), (5.0, 5.001)])
def test_close_pair_of_fixed_points_is_seen(low: float, high: float) -> None:
    """For sigma = z^2 the flow changes K by 3 C_W (K - low)(K - high)."""
    C_W = 1 / (3 * (low + high))
    assert fixed_point(activation("monomial", power=2), 3 * C_W * low * high, C_W) == pytest.approx(low, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1.2, 1.3])
def test_close_pair_of_critical_kernels_is_seen(scale: float) -> None:
    """sigma = z + a z^3 + b z^5 with <sigma sigma''>_K / K = 6a + 3(20b + 6a^2) K + 390ab K^2 + 2100 b^2 K^3."""
    a, b = -0.6601307187581546 * scale, 0.028011204481792716 * scale**2  # zeros at 1, 1.02 and 2.36 over the scale

    def tower(z: Any, order: int) -> list[Any]:
        powers = zip(*(power_tower(z, power, order) for power in (1, 3, 5)), strict=True)
        return [one + a * three + b * five for one, three, five in powers]

    roots = np.sort(np.roots([2100 * b**2, 390 * a * b, 3 * (20 * b + 6 * a**2), 6 * a]).real)
    assert roots[1] / roots[0] < 1.03  # the scan has six points per decade
    sigma = Activation("quintic", tower=tower, quadrature_radius=1.0)
    np.testing.assert_allclose(_zeros_of_curvature(sigma), roots, rtol=1e-8)


def test_dense_averages_of_zero_inputs_and_of_large_ones() -> None:
    """The second is refused before it takes 6.8 GB."""
    zero = DenseAverages(activation("gelu"), np.zeros((2, 2)))
    np.testing.assert_allclose(zero.mean((1, 1)), np.full((2, 2), 0.25), rtol=1e-13)
    with pytest.raises(RgflowError, match="scale the inputs down"):
        DenseAverages(activation("tanh"), 1e4 * np.array([[1.0, 0.3], [0.3, 1.0]]))


@pytest.mark.parametrize("radius", [np.pi / 2, 3.0, 8.0, 20.0])
@pytest.mark.parametrize("K", [0.5, 4.0])
def test_dense_averages_state_their_error(radius: float, K: float) -> None:
    S = K * np.array([[1.0, 0.3], [0.3, 0.8]])
    exact = Expectations(activation("tanh"), S, rtol=1e-12).pair(1)
    dense = DenseAverages(steep(1.0, radius), S)
    try:
        found = dense.mean((1, 1))
    except RgflowError:
        assert radius > 3.0
        return
    assert np.max(np.abs(found - exact)) / np.max(exact) <= dense.error


def test_learning_falls_back_on_quadrature_where_the_expansion_does_not_converge() -> None:
    x = np.random.default_rng(2).normal(size=(3, 4))
    net = rgflow.Network("tanh", (4, 9, 9), 0.1, 60.0)
    with pytest.raises(RgflowError, match="more than 1200 powers"):
        rgflow.infinite_width_theory(net, x)
    K, _ = output_kernels(net, x)
    np.testing.assert_allclose(K, rgflow.initialization_theory(net, x, ("K",))["K"].values[-1], rtol=1e-9)
