"""The stages of a study of the dNTK, in memory: from the configuration to the comparison; and what it cannot have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running import network_inputs, run

from rgflow.errors import RgflowError
from rgflow.study import estimate
from rgflow.study.plan import Study
from rgflow.study.requests import Requests

# torch scripts its own forward-mode rules when they are first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

RAW: dict[str, Any] = {
    "study": "test",
    "inputs": {"source": "gaussian", "features": 3, "train": 2, "test": 2, "probes": 2},
    "networks": {"activation": "tanh", "depth": 2, "width": [2, 4]},
    "ensemble": None,
    "dntk": {"members": 16_000},
    "training": None,
}
LABELS = {"activation": "tanh", "init": "critical", "depth": "2"}


def test_sampled_networks_meet_theory() -> None:
    study = Study(RAW)
    assert {stage.name for stage in study.stages} >= {"theory/dntk", "dntk/sample", "comparison/dntk"}
    assert study.cells("ensemble/block") == study.cells("theory/training") == []
    upstream = network_inputs(study, LABELS)
    theory = run(study, "theory/dntk", LABELS, upstream)
    sampled = [run(study, "dntk/sample", {**LABELS, "width": width}, upstream) for width in ("2", "4")]
    compared = run(study, "comparison/dntk", LABELS, {"theory": [theory], "experiment": sampled}).dataset
    assert set(compared["quantity"].values) <= set("PQRSTU")
    assert set(compared["component_quantity"].values) >= set("PSU")
    assert float(compared["z_leading_max"].max()) < 4.5  # leading order is exact in layer 2


def test_only_members_and_seed_reach_the_networks() -> None:
    spec = json.loads(Study(RAW).spec("dntk/sample", {**LABELS, "width": "4"}))
    assert spec == {
        "activation": {"name": "tanh", "parameters": {}},
        "init": "critical",
        "depth": 2,
        "width": 4,
        "dntk": {"members": 16_000, "seed": 1},
    }


def test_estimate_and_requests_know_the_stages() -> None:
    jobs = {line.stage: line.jobs for line in estimate.estimate(RAW)}
    assert (jobs["theory/dntk"], jobs["dntk/sample"], jobs["comparison/dntk"]) == (1, 2, 1)
    requests = Requests(Study(RAW))
    narrow, wide = (requests.work("dntk/sample", {**LABELS, "width": width}) for width in ("2", "4"))
    assert wide > narrow


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"networks": {"activation": "relu"}}, "config: dntk: relu has kinks; the dNTK needs a smooth activation"),
        ({"networks": {"activation": "tanh", "residual": {"xi_2": 0.5}}}, "known of plain networks"),
        ({"inputs": {"probes": 3}}, "config: inputs.probes = 3: theory of the dNTK takes up to 2"),
        ({"dntk": {"members": 1000}}, "config: dntk.members = 1000"),
        ({"dntk": {"members": 2500}}, "config: dntk.members = 2500"),
        ({"dntk": {"member": 2000}}, "config: dntk.member: unknown key; did you mean"),
    ],
)
def test_what_it_cannot_have_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError) as caught:
        Study({**RAW, **change})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
