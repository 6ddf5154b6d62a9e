"""The stages of practice: what reaches them, their cost, and what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rgflow.errors import RgflowError
from rgflow.practice.spec import Contest
from rgflow.study.plan import Study
from rgflow.study.requests import Requests

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "gaussian", "features": 3, "train": 4, "test": 4, "probes": 2},
    "networks": {"activation": "tanh", "width": [8, 16]},
    "ensemble": None,
    "training": None,
    "practice": {"depth": [3]},
}
LABELS = {"activation": "tanh", "depth": "3", "width": "8"}


def test_theory_does_not_depend_on_how_networks_are_trained() -> None:
    study = Study(RAW)
    theory, training = (json.loads(study.spec(name, LABELS)) for name in ("theory/practice", "practice/training"))
    assert theory == {"activation": {"name": "tanh", "parameters": {}}, "depth": 3, "width": 8}
    assert training == {**theory, "practice": Contest().model_dump()}
    assert len(study.cells("practice/training")) == 2


def test_the_chapter_is_off_unless_asked_for() -> None:
    study = Study({key: value for key, value in RAW.items() if key != "practice"})
    assert study.cells("practice/training") == study.cells("theory/practice") == []


def test_wider_networks_cost_more() -> None:
    requests = Requests(Study(RAW))
    narrow, wide = (requests.work("practice/training", {**LABELS, "width": width}) for width in ("8", "16"))
    assert wide == pytest.approx(4 * narrow)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": {"activation": "tanh", "residual": {"xi_2": 0.5}}}, "compares plain networks"),
        (
            {"networks": {"activation": "sigmoid", "initialization": {"C_b": 0, "C_W": 1}}},
            "which the recipe anyinit keeps",
        ),
        ({"practice": {"factors": [1.0]}}, "1 factors and 4 adam_rates; give as many of each"),
        ({"practice": {"seeds": 1}}, "config: practice.seeds = 1"),
        ({"practice": {"step": 1}}, "config: practice.step: unknown key"),
    ],
)
def test_what_it_cannot_have_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        Study({**RAW, **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
