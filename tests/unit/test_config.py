"""The configuration: defaults, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from rgflow.errors import RgflowError
from rgflow.sampling.spec import SamplingSpec
from rgflow.study.config import load_config, schema_text
from rgflow.study.plan import Study

ROOT = Path(__file__).parents[2]


def test_the_schema_names_every_section_and_default() -> None:
    schema = json.loads(schema_text())
    assert set(schema["properties"]) >= {"study", "inputs", "networks", "ensemble", "dntk", "training"}
    assert schema["properties"]["dntk"]["default"] is None
    assert schema["$defs"]["Strengths"]["properties"]["xi_1"]["default"] == 1.0


def test_default_study_is_valid() -> None:
    study = Study(yaml.safe_load((ROOT / "config.yaml").read_text()))
    assert study.root == "results/digits"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": {"trian": 3}}, "config: inputs.trian: unknown key; did you mean 'train'?"),
        ({"enseble": {}}, "config: enseble: unknown key; did you mean 'ensemble'?"),
        ({"study": "a/b"}, "config: study = 'a/b': String should match pattern"),
        ({"inputs": {"train": -3}}, "config: inputs.train = -3: Input should be greater than or equal to 1"),
        ({"inputs": {"probes": 99}}, "config: inputs: probes = 99 exceeds train + test = 40"),
        ({"inputs": {"source": "npz"}}, "config: inputs: path goes with source idx or npz"),
        ({"networks": {"width": [32, 32]}}, "config: networks: the same value is listed twice"),
        ({"networks": {"depth": 1}}, "config: networks.depth.0 = 1: Input should be greater than or equal to 2"),
        (
            {"networks": {"initialization": [{"C_b": -1, "C_W": 2}]}},
            "networks.initialization.0.C_b = -1: Input should be greater",
        ),
        (
            {"networks": {"initialization": [{"C_b": 0, "C_W": 0}]}},
            "networks.initialization.0.C_W = 0: Input should be greater",
        ),
        ({"ensemble": {"members": 1500, "block": 1000}}, "members = 1500 is not a multiple of block = 1000"),
        ({"ensemble": {"members": 1500, "block": 1500}}, "block = 1500 is not a multiple of 1000"),
        (
            {"infinite_width": {"precision": "float16"}},
            "infinite_width.precision = 'float16': Input should be 'float32' or",
        ),
        ({"training": {"step_fraction": 1.5}}, "config: training.step_fraction.0 = 1.5: Input should be less than 1"),
    ],
)
def test_wrong_configuration_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        load_config({"study": "test", **change})
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_unknown_activation_names_a_near_miss() -> None:
    with pytest.raises(RgflowError, match="relu"):
        Study({"study": "test", "networks": {"activation": "rellu"}})


def test_critical_of_an_activation_without_critical_point_stops_early() -> None:
    with pytest.raises(RgflowError, match="sigmoid has no critical point; give C_b and C_W"):
        Study({"study": "test", "networks": {"activation": "sigmoid"}})


TRAINING_LABELS = {"train": "24", "rates": "b=0-W=1", "step_fraction": "0.5"}


def test_specs_hold_exactly_what_a_stage_consumes() -> None:
    base: dict[str, Any] = {
        "study": "test",
        "ensemble": {"members": 3000, "block": 1000},
        "training": {"members": 256, "block": 128},
    }
    labels = {"activation": "tanh", "init": "critical", "depth": "4", "width": "32", "block": "0001"}
    labels |= TRAINING_LABELS
    study = Study(base)
    grown = Study({**base, "ensemble": {"members": 5000, "block": 1000}})
    wider = Study({**base, "networks": {"width": [32, 512]}})
    trained = Study({**base, "training": {**base["training"], "steps": 7}})
    for stage in ("inputs", "theory/initialization", "ensemble/block"):
        for other in (grown, wider, trained):
            assert study.spec(stage, labels) == other.spec(stage, labels)
    assert study.spec("ensemble/combine", labels) != grown.spec("ensemble/combine", labels)
    assert study.spec("training/block", labels) != trained.spec("training/block", labels)
    grown_blocks, blocks = ({labels["block"] for labels in one.cells("ensemble/block")} for one in (grown, study))
    assert grown_blocks > blocks


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_precision_of_infinite_width_reaches_its_stage_and_no_other(precision: str) -> None:
    labels = {"activation": "tanh", "init": "critical", "depth": "4", **TRAINING_LABELS}
    study, base = Study({"study": "test", "infinite_width": {"precision": precision}}), Study({"study": "test"})
    assert f'"precision":"{precision}"' in study.spec("theory/infinite_width", labels)
    for stage in ("theory/initialization", "theory/training", "theory/hyperparameters"):
        assert study.spec(stage, labels) == base.spec(stage, labels)


RESIDUAL = {
    "study": "test",
    "networks": {"activation": "relu", "residual": {"xi_2": 0.7}},
    "ensemble": {"tensors": ["K", "T3", "V", "Theta"]},
    "training": None,
}


def test_a_residual_study_has_no_laws_of_plain_networks() -> None:
    study = Study({**RESIDUAL, "inputs": {"probes": 1}})
    for stage in ("comparison/exact", "theory/criticality", "theory/training"):
        assert study.cells(stage) == []
    assert study.cells("theory/initialization") == [{"activation": "relu", "init": "critical", "depth": "4"}]


def test_only_the_hyperparameters_consume_the_strengths_of_a_residual_network() -> None:
    labels = {"activation": "relu", "init": "critical", "depth": "4", "width": "32", "block": "0000"}
    plain = Study({**RESIDUAL, "networks": {"activation": "relu"}, "ensemble": {}})
    one, other = (
        Study({**RESIDUAL, "ensemble": {}, "networks": {"activation": "relu", "residual": {"xi_2": xi_2}}})
        for xi_2 in (0.7, 0.3)
    )
    for stage in ("inputs", "theory/initialization", "ensemble/block", "comparison/initialization"):
        assert one.spec(stage, labels) == other.spec(stage, labels) == plain.spec(stage, labels)
    assert one.spec("theory/hyperparameters", labels) != other.spec("theory/hyperparameters", labels)
    assert '"residual":null' in plain.spec("theory/hyperparameters", labels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ensemble": {"tensors": ["K", "D"]}}, "config: ensemble.tensors: 'D' of a residual network; allowed: K, T3"),
        ({"networks": {"residual": {"xi_2": 1.5}}}, "config: networks.residual.xi_2 = 1.5: not critical for any C_W"),
        ({"networks": {"residual": {"xi_2": 0.5, "xi_1": 0}}}, "config: networks.residual.xi_1 = 0: Input should be"),
        ({"networks": {"residual": {"xi_2": 0.5}, "learning_rates": "equivalence"}}, "give lambda_b and lambda_W"),
        ({"networks": {}}, "config: ensemble.tensors: 'T3' vanishes in a plain network"),
    ],
)
def test_what_a_residual_study_cannot_have_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        Study({**RESIDUAL, **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_studies_are_valid(path: Path) -> None:
    assert Study(yaml.safe_load(path.read_text())).config.study == path.stem


def test_the_law_of_the_weights_is_a_setting_of_a_study() -> None:
    weights = {"sampler": "weights", "law": "uniform", "tensors": ["K"]}
    study = Study({"study": "test", "networks": {"activation": "linear"}, "ensemble": weights})
    labels = study.cells("ensemble/block")[0]
    assert SamplingSpec(**json.loads(study.spec("ensemble/block", labels))["ensemble"]).law == "uniform"
    assert study.cells("comparison/exact") == []  # those laws are of normal weights
    with pytest.raises(RgflowError, match="law = 'uniform' needs sampler = 'weights'"):
        Study({"study": "test", "ensemble": {"law": "uniform"}})


def test_exponents_are_measured_of_deep_networks_with_a_vertex() -> None:
    networks = {"activation": "tanh", "depth": [4, 16, 40]}

    def depths(**ensemble: Any) -> list[str]:
        study = Study({"study": "test", "networks": networks, **ensemble})
        return [labels["depth"] for labels in study.cells("comparison/exponents")]

    assert depths() == ["16", "40"]
    assert depths(ensemble={"tensors": ["K", "Theta"]}) == []
    assert depths(ensemble=None) == []


@pytest.mark.parametrize(("probes", "known"), [(1, ["linear", "relu"]), (3, ["linear"])])
def test_exact_laws_are_compared_where_there_are_any(probes: int, known: list[str]) -> None:
    networks = {"activation": ["linear", "relu", "tanh"], "depth": 4}
    study = Study({"study": "test", "inputs": {"probes": probes}, "networks": networks})
    assert [labels["activation"] for labels in study.cells("comparison/exact")] == known


def test_spec_follows_the_content_of_a_data_file_not_its_date(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    raw = {"study": "test", "inputs": {"source": "npz", "path": str(file)}}
    specs = []
    for shift in (0.0, 0.0, 1.0):
        np.savez(file, x=np.arange(80.0)[:, None] + shift, y=np.arange(80) % 2)
        specs.append(Study(raw).spec("inputs"))
    assert specs[0] == specs[1] != specs[2]
    file.unlink()
    with pytest.raises(RgflowError, match="no such file"):
        Study(raw).spec("inputs")
