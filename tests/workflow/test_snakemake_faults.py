"""What happens around the jobs: Snakemake killed with its jobs left behind, two runs at once, lost workers, wrong clocks."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rgflow.store.check import check_results
from rgflow.study.plan import Study

from .conftest import TINY, Project, copy_project

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

pytestmark = pytest.mark.xdist_group("workflow")

NARROW = "activation~tanh/init~critical/depth~3"
CELL = f"ensemble/{NARROW}/width~16"
BLOCK = f"{CELL}/block~0000.json"


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny study with one ensemble sampled."""
    project = copy_project(tmp_path_factory.mktemp("sampled"))
    result = project.snakemake(f"results/tiny/{CELL}.json")
    assert result.returncode == 0, result.stdout + result.stderr
    return project


@contextmanager
def background(project: Project, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the project, killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=project.folder, env=project.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def await_processes(folder: Path, *words: str, count: int = 1) -> list[int]:
    """Ids of the processes that work in ``folder`` and have these words in their command line."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        found = [int(p.name) for p in Path("/proc").glob("[0-9]*") if _is(p, folder, words)]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"no {count} processes {words} in {folder}")


def _is(process: Path, folder: Path, words: tuple[str, ...]) -> bool:
    try:
        line = (process / "cmdline").read_bytes().decode()
        return (process / "cwd").resolve() == folder and all(word in line.split("\0") for word in words)
    except OSError:
        return False


def await_end(pid: int) -> None:
    deadline = time.monotonic() + 100
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline, "the process does not end"
        time.sleep(0.05)


def test_killed_snakemake_orphan_and_restart(sampled: Project, fresh: Project) -> None:
    """The lock refuses a second run; after a kill the restart completes beside the orphan, and the orphan does no harm."""
    target = f"results/tiny/{BLOCK}"
    with background(fresh, "snakemake", "--cores", "1", target) as run:
        (orphan,) = await_processes(fresh.folder, "--spec", "ensemble", "block")
        os.kill(orphan, signal.SIGSTOP)

        second = fresh.snakemake(target)
        assert second.returncode != 0
        assert "cannot be locked" in second.stdout + second.stderr
        other = fresh.snakemake("--config", "study=other", "--", "inputs")
        assert other.returncode == 0, other.stderr

        run.kill()
        run.wait(10)
    assert fresh.snakemake("--unlock").returncode == 0
    restart = fresh.snakemake(target)
    assert restart.returncode == 0, restart.stdout + restart.stderr
    os.kill(orphan, signal.SIGCONT)
    await_end(orphan)

    assert (fresh.results / BLOCK).read_bytes() == (sampled.results / BLOCK).read_bytes()
    for root in (fresh.results, fresh.folder / "results/other"):
        assert [finding for finding in check_results(root) if finding.problem] == []
    assert list(fresh.results.rglob(".*.tmp*")) == []
    assert fresh.planned(target) == {}


def test_a_killed_worker_of_an_attached_dask_cluster_loses_nothing(sampled: Project, tmp_path: Path) -> None:
    from distributed import Client, LocalCluster

    labels = {"activation": "tanh", "init": "critical", "depth": "3", "width": "16", "block": "0000"}
    spec = json.loads(Study(TINY).spec("ensemble/block", labels)) | {"block": {"first": 0, "count": 60_000}}
    job = ["ensemble", "block", "--spec", json.dumps(spec)]
    for role, manifest in (("inputs", "inputs.json"), ("hyperparameters", f"theory/hyperparameters/{NARROW}.json")):
        job += ["--input", role, str(sampled.results / manifest)]

    alone = sampled.call([sys.executable, "-m", "rgflow", *job, "--output", str(tmp_path / "alone.json")])
    assert alone.returncode == 0, alone.stderr
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        shared = ["--cluster", cluster.scheduler_address, "--output", str(tmp_path / "shared.json")]
        with background(sampled, "rgflow", *job, *shared) as process:
            os.kill(busy_worker(cluster, client), signal.SIGKILL)
            assert process.wait(200) == 0
    assert (tmp_path / "shared.json").read_bytes() == (tmp_path / "alone.json").read_bytes()


def busy_worker(cluster: LocalCluster, client: Client) -> int:
    """Process id of a worker that has begun to work."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        busy = [address for address, tasks in client.processing().items() if tasks]
        pids = [nanny.pid for nanny in cluster.workers.values() if nanny.worker_address in busy]
        if pids:
            return int(pids[0])
        time.sleep(0.02)
    raise AssertionError("no worker ever got a task")


def test_wrong_clocks_of_nodes_rerun_nothing(sampled: Project) -> None:
    """Manifests written by nodes whose clocks are hours apart, in any direction."""
    draw = random.Random(1)
    for manifest in sampled.manifests():
        moment = time.time() + draw.uniform(-7200, 7200)
        os.utime(manifest, (moment, moment))
    assert sampled.planned(f"results/tiny/{CELL}.json") == {}
