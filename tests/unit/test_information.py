"""Entropy and information against exactly solvable mixtures and each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rgflow.errors import RgflowError
from rgflow.theory.depth.information import (
    entropy,
    mutual_information,
    mutual_information_of_inputs,
    negentropy,
    optimal_aspect_ratio,
    vertex_growth,
)


def scale_mixture_entropy(m: int, kappa: float) -> float:
    """Entropy of m neurons z = sqrt(s) g with log-normal s, E[s] = 1 and Var(s) = kappa, by quadrature in r and s."""
    u, w = np.polynomial.hermite_e.hermegauss(60)
    spread = math.sqrt(math.log1p(kappa))
    s, w = np.exp(spread * u - spread**2 / 2), w / w.sum()
    r = (np.arange(20000) + 0.5) * 7e-4
    log_gauss = -(r[:, None] ** 2) / (2 * s) - m / 2 * np.log(2 * np.pi * s)
    p = np.exp(log_gauss) @ w
    sphere = 2 * math.pi ** (m / 2) / math.gamma(m / 2)
    return float(-np.sum(sphere * r ** (m - 1) * p * np.log(p)) * (r[1] - r[0]))


@pytest.mark.parametrize("m", [1, 2, 4])
def test_entropy_of_a_scale_mixture(m: int) -> None:
    """The residue of the expansion to kappa^3 falls as kappa^4."""
    residues = [scale_mixture_entropy(m, kappa) - entropy(m, 1.0, kappa) for kappa in (0.04, 0.02)]
    assert abs(residues[1]) < 0.1 * m * (m + 2) * 0.02**3
    assert residues[0] / residues[1] == pytest.approx(16.0, rel=0.35)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (2, 1), (3, 5)])
def test_mutual_information_is_a_difference_of_entropies(first: int, second: int) -> None:
    parts = entropy(first, 1.3, 0.05) + entropy(second, 1.3, 0.05) - entropy(first + second, 1.3, 0.05)
    assert mutual_information(first, second, 0.05) == pytest.approx(parts)


def test_many_inputs_reduce_to_one() -> None:
    K, V, n = 1.3, 2.0, 100.0
    kappa, shape = V / (n * K**2), (1, 1, 1, 1)
    found = mutual_information_of_inputs(2, 3, [[K]], np.full(shape, V), n)
    assert found == pytest.approx(2 * 3 / 8 * kappa**2)
    assert negentropy(4, [[K]], np.full(shape, V), n) == pytest.approx(4 * 6 / 16 * kappa**2)


def test_information_does_not_depend_on_the_basis_of_inputs() -> None:
    rng = np.random.default_rng(0)
    M, V, K = rng.normal(size=(2, 2)), rng.normal(size=(2, 2, 2, 2)), np.array([[1.0, 0.3], [0.3, 0.7]])
    turned = np.einsum("abcd,pa,qb,rc,sd->pqrs", V, M, M, M, M)
    assert negentropy(3, M @ K @ M.T, turned, 10) == pytest.approx(negentropy(3, K, V, 10))
    joint, parts = negentropy(5, K, V, 10), negentropy(2, K, V, 10) + negentropy(3, K, V, 10)
    assert mutual_information_of_inputs(2, 3, K, V, 10) == pytest.approx(joint - parts)


@pytest.mark.parametrize(("name", "nu"), [("linear", 2.0), ("relu", 5.0), ("tanh", 2 / 3), ("gelu", 4.90422620645042)])
def test_vertex_growth(name: str, nu: float) -> None:
    assert vertex_growth(name) == pytest.approx(nu, rel=1e-12)


def test_vertex_growth_with_a_skip_connection() -> None:
    assert vertex_growth("linear", 0.6) == pytest.approx(2 * (1 - 0.6**4))
    assert vertex_growth("relu", 0.7) == pytest.approx(5.391, abs=5e-4)
    with pytest.raises(RgflowError, match="tanh is not scale-invariant"):
        vertex_growth("tanh", 0.5)
    with pytest.raises(RgflowError, match="allowed: 0 <= residual < 1"):
        vertex_growth("relu", 1.0)


def test_optimal_aspect_ratio_is_where_the_information_peaks() -> None:
    nu, outputs = 5.0, 10
    ratio = optimal_aspect_ratio(nu, outputs)
    r = ratio * np.linspace(0.9, 1.1, 201)
    peak = r[np.argmax(mutual_information(5, 5, nu * r))]
    assert peak == pytest.approx(ratio, rel=1e-9)
