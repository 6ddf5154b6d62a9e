"""The evidence over initialization and depth: every cell is a network's own, and what cannot be is marked."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.learning.bayes import bayes_theory
from rgflow.theory.learning.evidence import evidence_map

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 2))
GRID: dict[str, Any] = {"C_b": (0.0, 0.4), "C_W": (0.8, 1.5, 2.5), "depth": (4, 1, 2)}


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_every_cell_is_the_theory_of_its_network(activation: str) -> None:
    found = evidence_map(activation, X, Y, **GRID, noise=0.1)
    for depth, C_b, C_W in product(GRID["depth"], GRID["C_b"], GRID["C_W"]):
        network = Network(activation, (4, *[7] * (depth - 1), 2), C_b, C_W)
        expected, cell = bayes_theory(network, X, Y, X[:1], noise=0.1), found.sel(depth=depth, C_b=C_b, C_W=C_W)
        for name in ("log_evidence", "evidence_occam", "optimal_scale", "log_evidence1", "log_weight_variance"):
            assert float(cell[name]) == pytest.approx(float(expected[name]), rel=1e-7, abs=1e-9), (
                name,
                depth,
                C_b,
                C_W,
            )
        assert float(cell["log_evidence_bound"]) == pytest.approx(-3 * np.log(2 * np.pi * 0.1), rel=1e-14)


def test_many_samples_agree_with_quadrature_within_their_errors() -> None:
    x, y = RNG.normal(size=(13, 4)), RNG.normal(size=(13, 1))
    found = evidence_map("relu", x, y, C_b=[0.1], C_W=[1.5], depth=[2, 3], noise=0.5, nodes=2**12).squeeze()
    for depth in (2, 3):
        network, cell = Network("relu", (4, *[7] * (depth - 1), 1), 0.1, 1.5), found.sel(depth=depth)
        exact = bayes_theory(network, x, y, x[:1], noise=0.5, nodes=0)
        for name in ("log_evidence1", "log_weight_variance"):
            error = float(cell[f"{name}_error"])
            assert abs(float(cell[name] - exact[name])) < 5.0 * error
            assert 1e-4 < error < 2.0
        assert float(cell["log_evidence"]) == pytest.approx(float(exact["log_evidence"]), rel=1e-10)


def test_too_many_samples_for_memory_are_refused() -> None:
    x = RNG.normal(size=(150, 4))
    with pytest.raises(RgflowError, match="ask for fewer inputs or tensors"):
        evidence_map("relu", x, x[:, :1], C_b=[0.1], C_W=[1.5], depth=[3], noise=0.5)


def test_the_impossible_width_is_where_order_one_over_n_meets_the_bound() -> None:
    found = evidence_map("relu", X, Y, C_b=[0.0], C_W=[0.5, 2.0, 8.0], depth=[3], noise=0.3).squeeze()
    width, slope = found["impossible_width"], found["log_evidence1"]
    at_that_width = (found["log_evidence"] + slope / width).where(width > 0, found["log_evidence_bound"])
    np.testing.assert_allclose(at_that_width, found["log_evidence_bound"], rtol=1e-12)
    assert ((width > 0) == (slope > 0)).all()
    assert set((width > 0).values.tolist()) == {True, False}


def test_without_noise_nothing_is_impossible_and_what_is_singular_is_missing() -> None:
    repeated, targets = np.concatenate([X, X[:1]]), np.concatenate([Y, Y[:1]])
    assert not evidence_map("relu", X, Y, C_b=[0.1], C_W=[1.5], depth=[2], noise=0.0)["impossible_width"].any()
    missing = evidence_map("relu", repeated, targets, C_b=[0.1], C_W=[1.5], depth=[2], noise=0.0)
    assert all(np.isnan(missing[name]).all() for name in ("log_evidence", "log_evidence1", "log_evidence_error"))


@pytest.mark.filterwarnings("ignore:overflow")
def test_depths_beyond_an_overflow_are_missing() -> None:
    found = evidence_map("linear", X, Y, C_b=[0.0], C_W=[1e60], depth=[2, 3, 12], noise=0.1).squeeze()
    assert np.isfinite(found["log_evidence"].sel(depth=2))
    assert np.isnan(found["log_evidence"].sel(depth=12))


def test_cells_may_run_on_workers() -> None:
    here, there = (evidence_map("relu", X, Y, **GRID, noise=0.1, workers=workers) for workers in (1, 2))
    assert here.identical(there)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"C_b": ()}, "C_b is empty; at least one value is needed"),
        ({"depth": (0, 2)}, r"depth = \[0, 2\]; integers of at least 1"),
        ({"depth": (2.5,)}, "it must be a sequence of integers"),
        ({"C_W": (-1.0,)}, "C_W at layer 1 is -1.0; it must not be negative"),
        ({"noise": float("nan")}, "noise = nan; it must be a finite number"),
    ],
)
def test_a_wrong_grid_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        evidence_map("relu", X, Y, **({**GRID, "noise": 0.1} | wrong))
