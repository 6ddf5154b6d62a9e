"""The workflow on a real SLURM: the same bits as on one machine, and nothing lost when jobs, nodes or Snakemake die.

Run by tests/cluster/run.sh, which starts the SLURM.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rgflow.store.check import check_results

from ..workflow.conftest import Project, copy_project

pytestmark = pytest.mark.skipif("RGFLOW_SLURM" not in os.environ, reason="make cluster-test starts the SLURM it needs")

PROFILE = (
    "--workflow-profile",
    "profiles/slurm",
    "--slurm-init-seconds-before-status-checks",
    "1",
    "--latency-wait",
    "5",
)
WIDTHS = [8, 512]  # the second is wide enough for the GPU partition
BLOCKS = [
    f"results/tiny/ensemble/activation~tanh/init~critical/depth~3/width~{width}/block~{block:04d}.json"
    for width in WIDTHS
    for block in range(2)
]
SECONDS = 420


def configure(project: Project) -> None:
    project.configure(networks={"width": WIDTHS}, training={"block": 8})


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study, run on this machine without SLURM."""
    project = copy_project(tmp_path_factory.mktemp("local"))
    configure(project)
    result = project.snakemake("comparison")
    assert result.returncode == 0, result.stdout + result.stderr
    return project


@pytest.fixture(autouse=True)
def quiet_cluster() -> Iterator[None]:
    """Leave no jobs and no lost nodes to the next test."""
    yield
    slurm("scancel", "--user", "root")
    resume_nodes()


@pytest.fixture
def remote(tmp_path: Path) -> Project:
    """The study, without results."""
    project = copy_project(tmp_path / "remote")
    configure(project)
    return project


@contextmanager
def snakemake(project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Snakemake on SLURM, in the background; killed with all it started if it is still there at the end."""
    log = (project.folder / "snakemake.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *PROFILE, *arguments],
        cwd=project.folder, env=project.environment(), stdout=log, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        log.close()


def complete(project: Project, *arguments: str) -> None:
    with snakemake(project, *arguments) as process:
        status = process.wait(SECONDS)
    assert status == 0, messages(project)


def messages(project: Project) -> str:
    return "\n".join(p.read_text() for p in [project.folder / "snakemake.log", *project.folder.rglob("logs/**/*.log")])


def assert_same(project: Project, local: Project) -> None:
    """All results are intact and have the bits of the local run; nothing else lies about."""
    assert [finding for finding in check_results(project.results) if finding.problem] == []
    mine, theirs = project.digests(), local.digests()
    assert mine == {path: theirs[path] for path in mine}
    assert list(project.results.rglob(".*.tmp*")) == []


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def await_jobs(process: subprocess.Popen[str], count: int, besides: Collection[str] = ()) -> list[str]:
    """Ids of the running jobs ``besides`` some, as soon as there are ``count``."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        jobs = [job for job in slurm("squeue", "-h", "-t", "RUNNING", "-o", "%i").split() if job not in besides]
        if len(jobs) >= count:
            return jobs
        time.sleep(0.2)
    raise AssertionError(f"{count} jobs never ran at once")


def finished_jobs() -> list[dict[str, str]]:
    """What SLURM recorded of every job that ended."""
    lines = (Path(os.environ["RGFLOW_SLURM"]) / "log" / "jobs.txt").read_text().splitlines()
    return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]


def test_study_through_the_profile_equals_the_local_run(local: Project, remote: Project) -> None:
    before = len(finished_jobs())
    complete(remote, "comparison")
    assert_same(remote, local)
    assert remote.digests().keys() == local.digests().keys()
    partitions = [job["Partition"] for job in finished_jobs()[before:]]
    assert partitions.count("gpu") == 3  # two blocks sampled and one trained of the wide network
    assert partitions.count("cpu") == len(local.digests()) - 3


def test_one_block_on_the_dask_workers_of_two_nodes(local: Project, remote: Project) -> None:
    give_inputs(remote, local)
    spread = [f"ensemble_block:{item}" for item in ("nodes=2", "tasks=3", "mpi=True", "dask=srun")]
    complete(remote, BLOCKS[0], "--set-resources", *spread)
    assert_same(remote, local)
    last = finished_jobs()[-1]
    assert (last["NodeCnt"], last["NodeList"]) == ("2", "n[1-2]")


def test_killed_snakemake_cancelled_job_lost_node(local: Project, remote: Project) -> None:
    give_inputs(remote, local)
    with snakemake(remote, *BLOCKS) as process:
        orphans = await_jobs(process, 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    assert slurm("squeue", "-h", "-t", "RUNNING", "-o", "%i").split() != []

    assert remote.snakemake("--unlock").returncode == 0
    with snakemake(remote, *BLOCKS) as process:
        slurm("scancel", "--signal=KILL", "--full", orphans[0])
        slurm("scancel", await_jobs(process, 1, besides=orphans)[0])
        slurm("scontrol", "update", "nodename=n1", "state=down", "reason=test")
        slurm("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
        time.sleep(1)
        resume_nodes()
        status = process.wait(SECONDS)
    assert status == 0, messages(remote)
    assert {"FAILED", "CANCELLED", "NODE_FAIL"} & {job["JobState"] for job in finished_jobs()}
    assert_same(remote, local)


def resume_nodes() -> None:
    for node in ("n1", "n2"):  # a node that came back by itself refuses
        subprocess.run(["scontrol", "update", f"nodename={node}", "state=resume"], capture_output=True, timeout=30)


def give_inputs(project: Project, local: Project) -> None:
    """Inputs and hyperparameters of the local run, so that a test begins with the jobs it is about."""
    for name in ("inputs.json", "inputs.zarr", "theory/hyperparameters"):
        source, target = local.results / name, project.results / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    shutil.copytree(local.folder / ".snakemake" / "metadata", project.folder / ".snakemake" / "metadata")
