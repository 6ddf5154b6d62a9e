"""Infinite width of many inputs against the layer-by-layer theory, in both precisions, and its bookkeeping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory import infinite_width
from rgflow.theory.infinite_width import infinite_width_theory, infinite_width_tiles, positive_semidefinite
from rgflow.theory.initialization import initialization_theory

ACTIVATIONS = ["linear", "relu", "leaky_relu", "erf", "gelu", "sin", "tanh", "swish", "softplus", "sigmoid", "cos"]
TOLERANCE = {"float64": 1e-9, "float32": 3e-6}


def network(activation: str, depth: int = 5) -> Network:
    layers = np.arange(depth)
    C_W = 0.9 + 0.1 * layers
    return Network(activation, (5, *[10] * depth), 0.1 + 0.02 * layers, C_W, 0.3 + 0.1 * layers, 0.8 - 0.1 * layers)


def inputs(count: int) -> Any:
    """Random inputs of different length with a repeated, an opposite, a parallel and a vanishing one."""
    x = np.random.default_rng(4).normal(size=(count, 5))
    x[3], x[4], x[5], x[6] = x[1], -x[1], 2.0 * x[0], 0.0
    return x


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_equals_the_theory_layer_by_layer(activation: str, precision: Any) -> None:
    fast = infinite_width_theory(network(activation), inputs(9), precision)
    slow = initialization_theory(network(activation), inputs(9), tensors=("K", "Theta")).isel(layer=-1)
    for name in ("K", "Theta"):
        assert fast[name].dtype == precision
        scale = float(np.abs(slow[name]).max())
        np.testing.assert_allclose(fast[name], slow[name], rtol=0, atol=TOLERANCE[precision] * scale, err_msg=name)
    assert fast.attrs["expansion_error"] <= 10 * TOLERANCE[precision]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_blocks_fit_together(activation: str) -> None:
    """More inputs than a block: rows of the whole equal a small calculation; the result is symmetric."""
    x = inputs(450)
    whole = infinite_width_theory(network(activation), x)
    chosen = [0, 3, 191, 192, 383, 384, 449]
    part = infinite_width_theory(network(activation), x[chosen])
    for name in ("K", "Theta"):
        np.testing.assert_allclose(whole[name].to_numpy()[np.ix_(chosen, chosen)], part[name], rtol=1e-8, atol=1e-9)
        np.testing.assert_array_equal(whole[name], whole[name].to_numpy().T)


def test_threads_change_nothing() -> None:
    one, two = (infinite_width_theory(network("gelu"), inputs(400), workers=workers) for workers in (1, 2))
    np.testing.assert_array_equal(one["Theta"], two["Theta"])


def test_large_matrices_live_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    small = infinite_width_theory(network("gelu"), inputs(300))
    monkeypatch.setattr(infinite_width, "_LARGEST_IN_MEMORY", 1000)
    large = infinite_width_theory(network("gelu"), inputs(300))
    xr.testing.assert_identical(small, large)
    matrix = large["Theta"].data
    while isinstance(matrix.base, np.ndarray):
        matrix = matrix.base
    assert isinstance(matrix, np.memmap)


def test_tiles_cover_every_pair_once() -> None:
    seen = np.zeros((450, 450), dtype=int)
    for tile in infinite_width_tiles(network("erf", depth=2), inputs(450)):
        seen[tile.rows, tile.cols] += 1
        if tile.rows != tile.cols:
            seen[tile.cols, tile.rows] += 1
    np.testing.assert_array_equal(seen, 1)


def test_one_layer_is_the_gram_matrix() -> None:
    x = inputs(8)
    theory = infinite_width_theory(Network("relu", (5, 3), 0.2, 1.5, 0.1, 0.7), x)
    np.testing.assert_allclose(theory["K"], 0.2 + 1.5 * x @ x.T / 5, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(theory["Theta"], 0.1 + 0.7 * x @ x.T / 5, rtol=1e-13, atol=1e-14)


def test_repeated_inputs_stay_the_same_in_deep_relu_networks() -> None:
    """The angle of two equal inputs must not grow out of rounding."""
    theory = infinite_width_theory(Network("relu", (5, *[10] * 30), 0.0, 2.0), inputs(8), "float32")
    np.testing.assert_allclose(theory["Theta"][1], theory["Theta"][3], rtol=1e-5)


def test_large_variances_of_sin_do_not_overflow() -> None:
    theory = infinite_width_theory(Network("sin", (1, 10, 10), 0.0, 1.0), [[60.0], [-60.0]])
    np.testing.assert_allclose(theory["K"], [[0.5, -0.5], [-0.5, 0.5]], atol=0.2)
    assert np.isfinite(theory["Theta"]).all()


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_positive_semidefinite(precision: Any) -> None:
    root = np.random.default_rng(0).normal(size=(6, 4)).astype(precision)
    singular = np.asarray(root @ root.T)
    before = singular.copy()
    assert positive_semidefinite(singular)
    np.testing.assert_array_equal(singular, before)
    indefinite = singular - 0.01 * np.eye(6, dtype=precision)
    before = indefinite.copy()
    assert not positive_semidefinite(indefinite)
    np.testing.assert_array_equal(indefinite, before)


def test_kernels_are_reported_positive_semidefinite() -> None:
    attributes = infinite_width_theory(network("tanh"), inputs(60)).attrs
    assert (attributes["K_positive_semidefinite"], attributes["Theta_positive_semidefinite"]) == (1, 1)


@pytest.mark.parametrize(
    ("net", "x", "message"),
    [
        (network("hard_tanh"), np.ones((2, 5)), "hard_tanh has kinks"),
        (network("relu"), np.ones((2, 4)), "5 features"),
        (network("relu"), np.full((2, 5), np.nan), r"inputs\[0, 0\] = nan"),
        (Network("relu", (5, *[10] * 60), 0.0, 1e8), np.ones((2, 5)), "not finite at layer"),
        (Network("tanh", (5, 10, 10), 0.0, 1e4), np.ones((2, 5)), "tanh"),
    ],
)
def test_unusable_requests_are_one_clear_line(net: Network, x: Any, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        infinite_width_theory(net, x)
