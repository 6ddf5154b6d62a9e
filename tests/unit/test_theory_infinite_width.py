"""Infinite width of many inputs against the layer-by-layer theory, in both precisions, and its bookkeeping."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rgflow
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.store import digest
from rgflow.store.check import check_results
from rgflow.store.publish import open_zarr, publish
from rgflow.store.scratch import ScratchArrays
from rgflow.study.catalogue import find_stage, registry
from rgflow.study.runner import run_stage
from rgflow.study.stage import Resources
from rgflow.theory.infinite_width import kernels as infinite_width
from rgflow.theory.infinite_width.kernels import infinite_width_theory
from rgflow.theory.infinite_width.semidefinite import positive_semidefinite
from rgflow.theory.initialization.tensors import initialization_theory

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


def test_every_tile_is_calculated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    tile = infinite_width._tile
    monkeypatch.setattr(
        infinite_width, "_tile", lambda plan, i, j: calls.append((i.start, j.start)) or tile(plan, i, j)
    )
    infinite_width_theory(network("erf", depth=2), inputs(450))
    assert sorted(calls) == [(0, 0), (0, 192), (0, 384), (192, 192), (192, 384), (384, 384)]


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_streamed_matrices_are_those_in_memory(tmp_path: Path, precision: Any) -> None:
    memory = infinite_width_theory(network("tanh"), inputs(450), precision)
    streamed = rgflow.stream_infinite_width(network("tanh"), inputs(450), tmp_path / "x.zarr", precision, workers=2)
    assert streamed["K_output"].chunks is not None
    assert streamed["K_output"].dtype == precision
    for name in ("K", "Theta"):
        np.testing.assert_array_equal(streamed[f"{name}_output"], memory[name])
        assert streamed.attrs[f"{name}_output_positive_semidefinite"] == 1
    assert streamed.attrs["expansion_error"] == memory.attrs["expansion_error"]
    assert "Cholesky" in streamed.attrs["positive_semidefinite_check"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.zarr"]
    assert [finding.problem for finding in check_results(tmp_path)] == [""]


def test_streaming_holds_a_fraction_of_one_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_SLAB_BYTES", 2**20)
    monkeypatch.setattr(infinite_width, "_LARGEST_TILE", 192)
    x = np.random.default_rng(0).normal(size=(1500, 5))
    rgflow.stream_infinite_width(network("relu"), x[:10], tmp_path / "warm.zarr")
    tracemalloc.start()
    try:
        streamed = rgflow.stream_infinite_width(network("relu"), x, tmp_path / "x.zarr")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.7 * streamed["K_output"].nbytes


def test_damaged_chunk_of_a_stream_is_noticed(tmp_path: Path) -> None:
    rgflow.stream_infinite_width(network("relu"), inputs(300), tmp_path / "x.zarr")
    chunk = tmp_path / "x.zarr" / "Theta_output" / "c" / "1" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    assert "cannot be read" in next(check_results(tmp_path)).problem


def test_failing_stream_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infinite_width, "_block", lambda _plan, _rows, _cols: (1 / 0, 1 / 0))
    with pytest.raises(ZeroDivisionError):
        rgflow.stream_infinite_width(network("relu"), inputs(300), tmp_path / "x.zarr")
    with pytest.raises(RgflowError, match=r"ends with \.zarr"):
        rgflow.stream_infinite_width(network("relu"), inputs(300), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_stage_streams_in_the_precision_of_its_spec(
    tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="rgflow")
    layers = xr.Dataset({f"layer_{name}": ("layer", [1.0] * 3) for name in ("C_b", "C_W", "lambda_b", "lambda_W")})
    publish(xr.Dataset({"x": (("sample", "feature"), inputs(300))}), tmp_path / "inputs.zarr", {}, registry())
    publish(layers, tmp_path / "layers.zarr", {}, registry())
    manifests = {"inputs": [tmp_path / "inputs.json"], "hyperparameters": [tmp_path / "layers.json"]}
    cell = {"activation": {"name": "erf", "parameters": {}}, "init": "critical", "depth": 3}
    spec = {**cell, "infinite_width": {"precision": precision}}
    run_stage(find_stage("theory/infinite_width"), spec, manifests, tmp_path / "out.json", Resources(workers=2))
    assert any(re.search(r"infinite_width: (\d+) of \1 pieces", line) for line in caplog.messages)
    net = Network("erf", (5, 1, 1, 1), 1.0, 1.0, 1.0, 1.0)
    with open_zarr(tmp_path / "out.zarr") as stored:
        assert stored["Theta_output"].dtype == precision
        assert stored.attrs["Theta_output_positive_semidefinite"] == 1
        expected = infinite_width_theory(net, inputs(300), precision)  # type: ignore[arg-type]
        np.testing.assert_array_equal(stored["Theta_output"], expected["Theta"])
    assert rgflow.open_results(tmp_path / "out.zarr") is not None


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_residual_networks_equal_the_theory_layer_by_layer(activation: str) -> None:
    net = Network(activation, (5, *[10] * 4), 0.1, 0.9, 0.3, 0.8, xi_1=0.7, xi_2=0.6)
    fast = infinite_width_theory(net, inputs(9))
    slow = initialization_theory(net, inputs(9), tensors=("K", "Theta")).isel(layer=-1)
    for name in ("K", "Theta"):
        np.testing.assert_allclose(fast[name], slow[name], rtol=0, atol=1e-9 * float(np.abs(slow[name]).max()))


def test_no_workers_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    net, x = Network("relu", (2, 3, 1), 0.0, 2.0), np.eye(2)
    with pytest.raises(RgflowError, match="workers = 0; at least 1"):
        infinite_width_theory(net, x, workers=0)
    with pytest.raises(RgflowError, match="workers = 0; at least 1"):
        rgflow.stream_infinite_width(net, x, tmp_path / "kernels.zarr", workers=0)
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize("width", [1, 4, 6, 9])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_positive_semidefinite_whatever_the_blocks(precision: Any, width: int) -> None:
    """A singular matrix is, minus a hundredth it is not, and neither is one with a NaN."""
    root = np.random.default_rng(0).normal(size=(9, 4)).astype(precision)
    singular, factor = np.asarray(root @ root.T), dict[int, Any]()
    assert positive_semidefinite(singular, factor, width)
    shifted = singular + 9 * np.finfo(precision).eps * singular.diagonal().max() * np.eye(9, dtype=precision)
    rows = np.concatenate([np.pad(row, ((0, 0), (0, 9 - row.shape[1]))) for row in factor.values()])
    np.testing.assert_allclose(rows @ rows.T, shifted, atol=1e3 * np.finfo(precision).eps)
    assert not positive_semidefinite(singular - 0.01 * np.eye(9, dtype=precision), {}, width)
    assert not positive_semidefinite(np.where(singular == singular[8, 8], np.nan, singular), {}, width)


def test_scratch_arrays_are_kept_in_files(tmp_path: Path) -> None:
    scratch = ScratchArrays(tmp_path / "scratch")
    assert len(scratch) == 0
    scratch[3], scratch[1] = np.eye(2), np.arange(3)
    scratch[3] = np.ones(2)
    np.testing.assert_array_equal(scratch[3], [1, 1])
    assert set(scratch) == {1, 3}
    del scratch[1]
    with pytest.raises(KeyError):
        scratch[1]


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
