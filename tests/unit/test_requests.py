"""What jobs ask of a cluster, and what a study is estimated to take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rgflow.compute.workers import workers
from rgflow.errors import RgflowError
from rgflow.study import estimate
from rgflow.study.estimate import Line, table
from rgflow.study.plan import Study
from rgflow.study.requests import Requests

CONFIG: dict[str, Any] = {
    "study": "small",
    "inputs": {"source": "gaussian", "features": 3, "train": 4, "test": 2, "probes": 2},
    "networks": {"activation": ["relu"], "width": [8, 32]},
    "ensemble": {"depth": [2, 4], "members": 4000, "block": 2000},
    "training": {"depth": [2], "members": 8, "block": 4, "steps": 40, "records": 4},
}
LABELS = {"activation": "relu", "init": "critical", "depth": "4", "width": "32", "block": "0000"}
LABELS |= {"rates": "b=0-W=1", "step_fraction": "0.5", "train": "4"}


WIDE: dict[str, Any] = {  # the same study with cells that a cluster is for
    **CONFIG,
    "networks": {"activation": ["relu"], "width": [32, 512, 4096]},
    "ensemble": {"depth": [4, 64], "members": 4000, "block": 2000},
    "training": {"depth": [4, 64], "members": 8, "block": 4, "steps": 40, "records": 4},
}


def requests(**sections: dict[str, Any]) -> Requests:
    merged = {k: {**v, **sections.get(k, {})} if isinstance(v, dict) else v for k, v in WIDE.items()}
    return Requests(Study(merged))


def wildcards(**changes: str) -> Any:
    return SimpleNamespace(items=lambda: {**LABELS, **changes}.items())


@pytest.mark.parametrize("stage", ["ensemble/block", "training/block"])
def test_requests_double_with_every_attempt(stage: str) -> None:
    one = requests()
    for request in (one.mem_mb(stage), one.runtime(stage)):
        first, second, third = (request(wildcards(), attempt) for attempt in (1, 2, 3))
        assert second in (2 * first, 2 * first - 1)
        assert third in range(4 * first - 3, 4 * first + 1)


@pytest.mark.parametrize("stage", ["ensemble/block", "training/block"])
@pytest.mark.parametrize("larger", [{"width": "512"}, {"depth": "64"}])
def test_larger_networks_ask_for_more_time(stage: str, larger: dict[str, str]) -> None:
    big = requests(ensemble={"members": 4_000_000, "block": 2_000_000}, training={"steps": 100_000})
    assert big.runtime(stage)(wildcards(**larger), 1) > big.runtime(stage)(wildcards(), 1)


def test_work_is_proportional_to_the_members_of_a_block() -> None:
    twice = requests(ensemble={"members": 4000, "block": 4000}, training={"members": 8, "block": 8})
    for stage in ("ensemble/block", "training/block"):
        assert twice.work(stage, LABELS) == 2 * requests().work(stage, LABELS)


def test_all_members_kept_or_recorded_ask_for_memory() -> None:
    many = requests(training={"members": 40_000, "block": 40_000, "records": 40})
    assert many.memory("training/combine", LABELS) > 1.5 * requests().memory("training/combine", LABELS)


def test_memory_grows_with_what_is_drawn_at_once_and_with_the_workers() -> None:
    drawn = requests(ensemble={"sampler": "weights"})
    weights = 3 * 4096**2 * 4 / 1e6  # float32
    assert drawn.memory("ensemble/block", {**LABELS, "width": "4096"}) > 1000 + 2 * weights
    request = requests().mem_mb("ensemble/block")
    assert request(wildcards(), 1, threads=8) in range(8 * request(wildcards(), 1) - 8, 8 * request(wildcards(), 1) + 1)


def test_infinite_width_asks_for_rows_of_a_matrix_and_for_the_time_of_all_pairs() -> None:
    few, many = requests(), requests(inputs={"train": 20_000, "test": 10_000})
    stage = "theory/infinite_width"
    assert few.memory(stage, LABELS) < 1100
    assert 30_000 * 768 * 8 / 1e6 < many.memory(stage, LABELS) < 30_000**2 * 8 / 1e6
    assert many.minutes(stage, LABELS) > 20 > few.minutes(stage, LABELS)


def test_estimate_counts_every_job_of_the_workflow() -> None:
    lines = {line.stage: line for line in estimate.estimate(CONFIG)}
    assert {stage: line.jobs for stage, line in lines.items()} == {
        "inputs": 1,
        "theory/criticality": 1,
        "theory/hyperparameters": 2,
        "theory/initialization": 2,
        "theory/learning_rate": 1,
        "theory/training": 1,
        "ensemble/block": 8,
        "ensemble/combine": 4,
        "training/block": 4,
        "training/combine": 2,
        "comparison/initialization": 2,
        "comparison/training": 1,
    }
    assert all(line.seconds > 0 for line in lines.values())
    assert lines["ensemble/block"].disk > lines["inputs"].disk > 0


def test_times_pass_through_both_measured_points_and_never_fall() -> None:
    seconds = estimate._affine([(10.0, 1.0), (100.0, 4.0)])
    assert seconds(10.0) == pytest.approx(1.0)
    assert seconds(100.0) == pytest.approx(4.0)
    assert seconds(1000.0) == pytest.approx(34.0)
    assert 0 < seconds(1.0) <= 1.0
    assert estimate._affine([(10.0, 1.0)])(30.0) == pytest.approx(3.0)


def test_the_table_adds_up() -> None:
    lines = [Line("a", 2, 3600.0, 1000.0, 1e6), Line("b", 1, 1800.0, 1000.0, 5e5)]
    *_, total = table(lines)
    assert total.split() == ["total", "3", "1.500", "1.5", "MB"]


def test_workers_of_this_machine_and_of_a_running_cluster() -> None:
    with workers("local") as address:
        assert address is None
    with workers("tcp://node:8786") as address:
        assert address == "tcp://node:8786"


def test_srun_workers_outside_a_job_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(RgflowError, match="not inside a SLURM job"), workers("srun"):
        pass
