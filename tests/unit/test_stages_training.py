"""The stages of a study of training, in memory: from the configuration to the comparison."""

from __future__ import annotations

from typing import Any

import pytest
from running import everything

from rgflow.errors import RgflowError
from rgflow.study.plan import Study

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "gaussian", "features": 4, "train": 3, "test": 2, "probes": 2},
    "networks": {"activation": ["tanh", "relu"], "depth": 2, "width": [8, 16]},
    "ensemble": None,
    "training": {"members": 64, "block": 32, "steps": 20, "records": 4, "ntk_steps": "ends"},
}


def test_trained_networks_are_compared_with_theory() -> None:
    found = everything(Study(RAW))
    assert len(found["training/block"]) == 8
    smooth, kinked = found["theory/training"]
    assert "prediction_mean1" in smooth
    assert "prediction_mean1" not in kinked
    for compared in found["comparison/training"]:
        assert {"prediction_mean", "prediction_covariance", "train_loss", "test_loss", "NTK"} == set(
            compared["quantity"].values
        )
        assert float(compared["z_next_max"].sel(quantity="prediction_mean").max()) < 5.0


def test_what_theory_does_not_predict_is_trained_and_not_compared() -> None:
    study = Study({**RAW, "training": {**RAW["training"], "optimizer": "adam"}})
    assert len(study.cells("training/combine")) == 4
    assert study.cells("theory/training") == study.cells("comparison/training") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": 6, "block": 6}, "config: training.members = 6: errors need at least 4 groups of 2"),
        ({"members": 100, "block": 32}, "members = 100; it must be a multiple of block = 32"),
        ({"optimizer": "adam", "momentum": 0.5}, "momentum = 0.5; it goes with optimizer = 'gd'"),
        ({"optimiser": "adam"}, "config: training.optimiser: unknown key; did you mean 'optimizer'?"),
    ],
)
def test_what_it_cannot_have_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        Study({**RAW, "training": {**RAW["training"], **change}})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
