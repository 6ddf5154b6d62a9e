"""Wrong arguments of all public functions, generated: each is one clear line, never another exception."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rgflow
from rgflow import RgflowError
from rgflow.task import Task
from rgflow.training.ensemble import train_block

X, Y = np.random.default_rng(0).standard_normal((3, 4)), np.ones((2, 1))
TANH = rgflow.Network("tanh", (4, 6, 1), 0.1, 1.2, 1.0, 1.0)
PAIR = rgflow.Network("tanh", (4, 6, 2), 0.1, 1.2, 1.0, 1.0)
LINEAR = rgflow.Network("linear", (4, 6, 1), 0.1, 1.2)
LEARN = {"train_inputs": X[:2], "train_targets": Y, "test_inputs": X[2:]}
TWO, V = np.eye(2), np.zeros((2,) * 4)
SAMPLED = {"members": 3000, "seed": 1, "workers": 1}
POSTERIOR = {"network": TANH, **LEARN, "noise": 0.5, "islands": 4, "particles": 4, "seed": 1, "device": "auto"}

BLOCK = train_block(
    TANH, Task(**LEARN), rgflow.TrainingSpec(seed=1, learning_rate=0.05, steps=(0, 2), members=16), range(16)
)

CALLS: dict[str, dict[str, Any]] = {
    "training_difference": {"first": [BLOCK], "second": [BLOCK], "tensors": None},
    "Network": {"activation": "tanh", "widths": (4, 6, 1), "C_b": 0.1, "C_W": 1.2, "lambda_b": 1.0, "lambda_W": 1.0,
                "xi_1": 1.0, "xi_2": 0.0},
    "bayes_theory": {"network": TANH, **LEARN, "noise": 0.1, "order": "next"},
    "check_activation": {"activation": "tanh"},
    "critical": {"activation": "tanh"},
    "dntk_theory": {"network": TANH, "inputs": X[:2]},
    "evidence_map": {"activation": "relu", "train_inputs": X[:2], "train_targets": Y, "C_b": [0.1], "C_W": [1.0], "depth": [2],
                     "noise": 0.1},
    "finite_width_tensors": {"network": TANH, "inputs": X[:2], "tensors": ["K"], "nodes": None, "seed": 0, "memory": 1.0},
    "infinite_width_theory": {"network": TANH, "inputs": X, "precision": "float64", "workers": 1},
    "initialization_theory": {"network": TANH, "inputs": X[:1], "tensors": ["K"]},
    "linear_posterior": {"network": LINEAR, **LEARN, "noise": 0.1},
    "one_hidden_layer_posterior": {"network": TANH, **LEARN, "noise": 0.5},
    "open_results": {"path": "nowhere"},
    "posterior_diagnostics": {**POSTERIOR, "draws": 2},
    "sample_dntk": {"network": PAIR, "inputs": X[:1], **SAMPLED},
    "sample_initialization": {"network": TANH, "inputs": X[:1], **SAMPLED, "tensors": ("K",), "layers": None,
                              "sampler": "marginal", "law": "normal", "dtype": "float32", "kept": 0, "device": "cpu"},
    "sample_posterior": {**POSTERIOR, "workers": 1},
    "train_ensemble": {"network": TANH, **LEARN, "test_targets": None},
    "training_theory": {"network": TANH, **LEARN, "steps": [0, 1], "test_targets": None, "step_fraction": 0.5,
                        "optimizer": "gradient descent", "order": "leading"},
    "flow.angle": {"K": TWO},
    "flow.from_midpoint": {"components": np.array([1.0, 0.0, 0.5])},
    "flow.to_midpoint": {"K": TWO},
    "flow.pair_flow": {"network": TANH, "first": TWO},
    "flow.midpoint_flow": {"network": TANH, "first": np.array([1.0, 0.0, 0.5])},
    "information.entropy": {"neurons": 2, "G": 1.0, "kappa": 0.1},
    "information.mutual_information": {"first": 1, "second": 2, "kappa": 0.1},
    "information.mutual_information_of_inputs": {"first": 1, "second": 2, "K": TWO, "V": V, "width": 10.0},
    "information.negentropy": {"neurons": 2, "K": TWO, "V": V, "width": 10.0},
    "information.optimal_aspect_ratio": {"nu": 1.0, "outputs": 1},
    "wick.gaussian_moment": {"K": TWO, "order": 4},
    "wick.hermite_coefficients": {"activation": "tanh", "K": 1.0, "count": 3, "order": 0},
    "wick.hermite_values": {"count": 3, "u": np.array([0.0, 1.0])},
    "wick.mehler_sum": {"first": np.array([0.0, 1.0]), "second": np.array([0.0, 1.0]), "correlation": 0.5},
    "wick.pairings": {"count": 4},
    "wick.set_partitions": {"count": 3},
    "wick.wick_moment": {"K": TWO, "indices": [0, 0, 1, 1]},
    "wick.moments_to_cumulants": {"moments": {1: np.zeros(2), 2: TWO}},
    "wick.cumulants_to_moments": {"cumulants": {1: np.zeros(2), 2: TWO}},
    "action.couplings": {"G": TWO, "V": V, "width": 10.0, "neurons": 2},
    "action.density_ratio": {"z": np.zeros((2, 2)), "K": TWO, "G1": np.zeros((2, 2)), "V": V, "width": 10.0},
}  # fmt: skip
# what no public function takes anywhere
NONSENSE: tuple[Any, ...] = (
    math.nan, -math.inf, object(), {"a": 1}, 1j, b"x", {1.5, 2.5}, [[1, 2], [3]], "a\0b",
    np.array([[1 + 1j]]), np.array(["a"]), np.array([object()]), np.array(["2020"], "M8[Y]"),
    np.ma.masked_array([[1.0, 2.0]], mask=[[True, False]]), np.full((2, 4), np.nan), np.full((2, 4), np.inf),
    xr.DataArray(np.full((2, 4), np.nan), dims=("sample", "feature")),
)  # fmt: skip
# what some take: refused in one line, or answered
ODD: tuple[Any, ...] = (
    -1, -1.5, 0, 10**30, None, True, "", "nonsense", np.zeros((0, 4)), np.zeros((2, 3, 4)), np.zeros((2, 5)),
    xr.DataArray(np.zeros((9, 9)), dims=("a", "b")), np.float64(2.5), np.int64(-3), (),
)  # fmt: skip


def found(name: str) -> Callable[..., Any]:
    function: Any = rgflow
    for part in name.split("."):
        function = getattr(function, part)
    return function  # type: ignore[no-any-return]


def refusal(name: str, arguments: dict[str, Any]) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found(name)(**arguments)
        except RgflowError as error:
            return str(error)
    return None


def test_there_are_a_thousand_calls() -> None:
    public = {name for name in rgflow.__all__ if inspect.isfunction(getattr(rgflow, name))}
    left_out = {
        "activation",
        "advise",
        "critical_",
        "generalization",
        "stream_infinite_width",
    }  # tested in their own files
    assert public - left_out <= CALLS.keys()
    assert sum(map(len, CALLS.values())) * (len(NONSENSE) + len(ODD)) > 1000


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in CALLS.items() for key in keys])
def test_an_argument_of_the_wrong_kind_is_one_line(name: str, key: str) -> None:
    for value in NONSENSE:
        message = refusal(name, {**CALLS[name], key: value})
        assert message, f"{name}({key}={value!r}) is answered"
        assert "\n" not in message
        assert len(message) < 400
    for value in ODD:
        assert "\n" not in str(refusal(name, {**CALLS[name], key: value}))


@pytest.mark.parametrize("name", [name for name in CALLS if name != "train_ensemble"])
def test_a_wrong_name_of_an_argument_is_what_python_says_of_it(name: str) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        found(name)(**CALLS[name], nonsense=1)


def test_a_grid_may_come_one_by_one() -> None:
    arguments = {**CALLS["evidence_map"], "C_W": [1.0, 2.0]}
    one_by_one = {**arguments, "C_W": iter([1.0, 2.0]), "depth": (depth for depth in [2])}
    xr.testing.assert_identical(rgflow.evidence_map(**one_by_one), rgflow.evidence_map(**arguments))


# torch scripts its own forward-mode rules when they are first used
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["sample_dntk", "infinite_width_theory", "dntk_theory", "initialization_theory"])
def test_named_dimensions_may_come_in_any_order(name: str) -> None:
    arguments = {**CALLS[name], "inputs": xr.DataArray(X[:2], dims=("sample", "feature"))}
    turned = {**arguments, "inputs": arguments["inputs"].transpose("feature", "sample")}
    xr.testing.assert_identical(found(name)(**arguments), found(name)(**turned))
