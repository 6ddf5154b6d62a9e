"""Whole runs: bitwise reproducible, safe to kill, and clear about what is wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rgflow
from rgflow.store.check import check_results

from .conftest import Project

pytestmark = pytest.mark.xdist_group("workflow")

STAGES = {
    "inputs",
    "theory/criticality",
    "theory/hyperparameters",
    "theory/initialization",
    "theory/learning_rate",
    "theory/training",
    "ensemble",
    "training",
    "comparison/initialization",
    "comparison/training",
}


def test_all_stages_are_there_intact_and_open_as_one_tree(finished: Project) -> None:
    assert [finding for finding in check_results(finished.results) if finding.problem] == []
    tree = rgflow.open_results(finished.results)
    assert {node.path.strip("/") for node in tree.subtree if node.has_data} >= STAGES
    assert tree["ensemble"]["K"].sizes["width"] == 2


def test_the_report_shows_the_study_first_and_the_jobs_last(finished: Project) -> None:
    page = (finished.results / "report.html").read_text()
    landmarks = ["<h1>tiny", "<th>theory</th>", 'id="results"', 'id="criticality"', 'id="training"', 'id="jobs"']
    places = [page.index(landmark) for landmark in landmarks]
    assert sorted(places[:1] + places[2:]) == places[:1] + places[2:]
    assert places[2] < places[1] < page.index("<img") < places[3]
    pictures = list((finished.results / "figures").rglob("*.png"))
    assert page.count("<img") == len(pictures) + 1  # and the graph of jobs
    assert page.count("<figcaption>") == page.count("<figure>") > 5
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # nothing is fetched


def test_second_run_with_two_workers_gives_bitwise_the_same_stores(finished: Project, fresh: Project) -> None:
    result = fresh.snakemake("comparison", "--set-threads", "ensemble_block=2", "training_block=2")
    assert result.returncode == 0, result.stdout + result.stderr
    mine, theirs = fresh.digests(), finished.digests()
    assert mine == {path: theirs[path] for path in mine}
    for path in mine:
        chunks = [p for p in (fresh.results / path).with_suffix(".zarr").rglob("c/**/*") if p.is_file()]
        for chunk in chunks:
            assert chunk.read_bytes() == (finished.results / chunk.relative_to(fresh.results)).read_bytes(), chunk


def test_killed_job_leaves_no_final_store_and_a_second_run_completes(fresh: Project) -> None:
    fresh.configure(ensemble={"members": 400_000, "block": 400_000})
    assert fresh.snakemake("inputs").returncode == 0
    target = "results/tiny/ensemble/activation~tanh/init~critical/depth~3/width~16/block~0000.json"
    run = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", target],
        cwd=fresh.folder, env=fresh.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    job = wait_for_job(fresh, run)
    run.kill()
    os.kill(job, signal.SIGKILL)
    assert run.wait(60) != 0
    store = (fresh.folder / target).with_suffix(".zarr")
    assert not store.exists()
    assert not (fresh.folder / target).exists()
    fresh.configure()
    assert fresh.snakemake("--unlock").returncode == 0
    assert fresh.snakemake(target).returncode == 0
    assert (fresh.folder / target).exists()
    assert [p for p in store.parent.iterdir() if p.name.endswith(".tmp")] == []


def wait_for_job(project: Project, run: subprocess.Popen[bytes]) -> int:
    """Process id of the running ensemble job of this project."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and run.poll() is None:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
                here = (process / "cwd").resolve() == project.folder
            except OSError:
                continue
            if here and b"block" in words and b"--spec" in words:
                time.sleep(1.0)
                return int(process.name)
        time.sleep(0.05)
    raise AssertionError("the job never started")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": {"trian": 3}}, "config: inputs.trian: unknown key; did you mean 'train'?"),
        ({"networks": {"activation": ["sigmoid"]}}, "sigmoid has no critical point"),
        ({"networks": {"activation": ["rellu"]}}, "did you mean 'relu'?"),
    ],
)
def test_wrong_configuration_stops_before_any_job(
    fresh: Project, changes: dict[str, dict[str, object]], message: str
) -> None:
    fresh.configure(**changes)
    result = fresh.snakemake()
    assert result.returncode != 0
    lines = result.stderr.splitlines()
    assert message in next(line for line in lines if line.startswith("rgflow: error:"))
    assert [line for line in lines if not line.startswith(("rgflow: error:", "Using workflow specific profile"))] == []
    assert not (fresh.folder / "results").exists()


def test_overflow_stops_the_stage_with_layer_and_variable(fresh: Project) -> None:
    fresh.configure(
        networks={"activation": ["relu"], "initialization": [{"C_b": 0.0, "C_W": 1e12}]}, ensemble={"depth": [40]}
    )
    result = fresh.snakemake("theory")
    assert result.returncode != 0
    log = next((fresh.results / "logs/theory/initialization").rglob("*.log")).read_text()
    assert "rgflow: error:" in log
    assert "layer" in log
    assert "Traceback" not in log
    assert list((fresh.results / "theory" / "initialization").rglob("depth~40.zarr")) == []


def test_stages_can_be_called_by_hand(finished: Project, tmp_path: Path) -> None:
    spec = json.loads(provenance(finished.results / "inputs.zarr"))["spec"]
    command = [
        sys.executable,
        "-m",
        "rgflow",
        "inputs",
        "--spec",
        json.dumps(spec),
        "--output",
        str(tmp_path / "inputs.json"),
    ]
    assert finished.call(command).returncode == 0
    assert (tmp_path / "inputs.json").read_bytes() == (finished.results / "inputs.json").read_bytes()


def provenance(store: Path) -> str:
    return str(json.loads((store / "zarr.json").read_text())["attributes"]["rgflow"])
