"""The precision of an ensemble follows from how close theory says that inputs come to each other."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from running import network_inputs, run

import rgflow
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.sampling.precision import RESOLVED, closest_inputs, with_precision
from rgflow.sampling.spec import SamplingSpec
from rgflow.study.plan import Study

PAIR = np.sqrt(2.0) * np.eye(2)
ENSEMBLE = SamplingSpec(seed=1, tensors=("K",))


def ordered(depth: int, width: int = 64) -> Network:
    """tanh in its ordered phase: inputs approach each other by a constant factor per layer."""
    return Network("tanh", (2, *[width] * (depth - 1), 2), 0.3, 0.597)


def apart(sampled: xr.Dataset) -> float:
    K = sampled["K"].values[0]
    return float(1.0 - K[0, 1] / np.sqrt(K[0, 0] * K[1, 1]))


def precision(network: Network, inputs: np.ndarray) -> str:
    return with_precision(ENSEMBLE, network, inputs).dtype


def test_nearby_inputs_are_not_lost() -> None:
    """At layer 15 1 - c is 5.9e-7; float32, in which its inputs have become one in most networks, gives far less."""
    network = ordered(15)
    theory = closest_inputs(network, PAIR, 15)
    assert theory.layer == 15
    assert theory.apart == pytest.approx(5.9e-7, rel=0.02)
    auto, single = (
        rgflow.sample_initialization(network, PAIR, members=4000, seed=1, tensors=("K",), layers=[15], dtype=dtype)
        for dtype in ("auto", "float32")
    )
    assert json.loads(auto.attrs["ensemble"])["dtype"] == "float64"
    assert apart(auto) == pytest.approx(theory.apart, rel=0.1)  # 1/n and statistics; the width is 64
    assert apart(single) < 0.85 * theory.apart


def test_distances_at_the_bound_of_float32_are_right_in_it() -> None:
    network = ordered(7, width=32)
    assert 1.0 < closest_inputs(network, PAIR, 7).apart / RESOLVED["float32"] < 2.0
    kept = (
        rgflow.sample_initialization(network, PAIR, members=20_000, seed=1, tensors=("K",), layers=[7], dtype=dtype)
        for dtype in ("auto", "float64")
    )
    single, double = map(apart, kept)
    assert single == pytest.approx(double, rel=0.05)  # of different draws: theirs are the errors


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_critical_networks_stay_in_float32(activation: str) -> None:
    point = rgflow.critical(activation)
    inputs = np.random.default_rng(0).standard_normal((3, 64))
    assert precision(Network(activation, (64, *[32] * 31, 1), point.C_b, point.C_W), inputs) == "float32"


def test_repeated_inputs_are_one_and_parted_ones_two() -> None:
    network = Network("tanh", (3, 8, 8, 2), 0.0, 1.0)
    x = np.array([0.3, -0.5, 1.0])
    assert precision(network, np.stack([x, x])) == "float32"
    assert closest_inputs(network, np.stack([x, x]), 3).apart == np.inf
    assert closest_inputs(network, np.stack([x, 1.01 * x]), 3).layer > 1  # parallel; sigma parts them, but little
    assert precision(network, np.stack([x, 1.01 * x])) == "float64"
    linear = replace(network, activation="linear")
    assert precision(linear, np.stack([x, 1.01 * x])) == "float32"  # one input, and twice nearly the same of it


def test_layers_that_are_not_reported_do_not_matter() -> None:
    early = replace(ENSEMBLE, layers=(2, 3))
    assert with_precision(early, ordered(15), PAIR).dtype == "float32"


def test_what_float64_cannot_resolve_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="rgflow"):
        assert precision(ordered(15), PAIR) == "float64"
        assert not caplog.messages
        assert precision(ordered(25), PAIR) == "float64"
    (message,) = caplog.messages
    assert message.startswith("layer 25: 1 - |correlation| of two inputs is ")
    assert "too small to be resolved" in message


def test_a_network_that_theory_does_not_know_is_drawn_in_float64() -> None:
    def steep(z: torch.Tensor) -> torch.Tensor:  # no kink, but its averages do not converge
        return torch.tanh(1000.0 * z)

    network = Network(steep, (2, 8, 8, 8), 0.0, 1.0)
    with pytest.raises(RgflowError):
        closest_inputs(network, PAIR, 3)
    assert precision(network, PAIR) == "float64"


@pytest.mark.parametrize("activation", ["hard_tanh", "elu", "gelu", "sigmoid"])
def test_distances_are_those_of_the_theory(activation: str) -> None:
    """By expansion, closed form or quadrature: the kernel is that of the theory at initialization."""
    network, x = Network(activation, (2, 8, 8, 8, 8), 0.2, 0.7), np.array([[1.0, 0.2], [0.7, 0.9], [-0.1, 0.4]])
    K = rgflow.initialization_theory(network, x, ["K"])["K"].values
    deviation = np.sqrt(np.einsum("laa->la", K))
    apart = 1.0 - np.abs(K) / (deviation[:, :, None] * deviation[:, None])
    expected = apart[:, *np.triu_indices(3, 1)].min(1)
    found = closest_inputs(network, x, 4)
    assert found.layer == expected.argmin() + 1
    assert found.apart == pytest.approx(expected.min(), rel=1e-6)


def test_a_precision_that_was_chosen_is_kept() -> None:
    for dtype in ("float32", "float64"):
        assert with_precision(replace(ENSEMBLE, dtype=dtype), ordered(15), PAIR).dtype == dtype


@pytest.mark.parametrize(("C_W", "dtype"), [(0.5, "float64"), (1.5, "float32")])
def test_stages_choose_as_the_library_does(C_W: float, dtype: str) -> None:
    study = Study(
        {
            "study": "near",
            "inputs": {"source": "gaussian", "train": 4, "test": 4, "probes": 2, "features": 4},
            "networks": {"activation": "tanh", "initialization": [{"C_b": 0.3, "C_W": C_W}], "depth": 12, "width": 8},
            "ensemble": {"members": 3000, "block": 3000, "tensors": ["K"], "kept": 0},
            "training": None,
        }
    )
    (labels,) = study.cells("ensemble/block")
    block = run(study, "ensemble/block", labels, network_inputs(study, labels)).dataset
    assert json.loads(block.attrs["ensemble"])["dtype"] == dtype
