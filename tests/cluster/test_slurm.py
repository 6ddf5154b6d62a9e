"""The workflow on a real SLURM: the same bits as on one machine, and nothing lost when jobs, nodes or programs die.

Run by tests/cluster/run.sh, which starts the SLURM. The tests run side by side on it, those that break something on nodes of
their own: most of the time of each is waiting for SLURM.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

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
SECONDS = 300
RUN_HERE = """
import json, sys
from rgflow.cli import main
sys.exit(any(main(arguments) for arguments in json.load(sys.stdin)))
"""


def configure(project: Project) -> None:
    project.configure(networks={"width": WIDTHS}, training={"block": 8, "depth": [3]})


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study, computed by one process of this machine without SLURM or Snakemake; once for all tests."""
    place = tmp_path_factory.getbasetemp().parent
    project = Project(place / "undisturbed")
    with FileLock(place / "undisturbed.lock"):
        if not project.folder.exists():
            configure(copy_project(project.folder))
            run_here(project, "comparison")
    return project


def run_here(project: Project, target: str) -> None:
    """Run all that Snakemake would run for ``target``, in its order, in one process."""
    plan = project.snakemake("--dry-run", "--printshellcmds", target)
    commands = re.findall(r"^Shell command: rgflow (.* --output \S+) >", plan.stdout + plan.stderr, flags=re.MULTILINE)
    job = subprocess.run(
        [sys.executable, "-c", RUN_HERE],
        cwd=project.folder, env=project.environment(), input=json.dumps([shlex.split(line) for line in commands]),
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert job.returncode == 0, job.stderr


@pytest.fixture
def remote(tmp_path: Path) -> Project:
    """The study, without results."""
    project = copy_project(tmp_path / "remote")
    configure(project)
    return project


@pytest.fixture
def prepared(remote: Project, undisturbed: Project) -> Project:
    """The study with its inputs and hyperparameters, so that a test begins with the blocks it is about."""
    for name in ("inputs.json", "inputs.zarr", "theory/hyperparameters"):
        source, target = undisturbed.results / name, remote.results / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target) if source.is_dir() else shutil.copy2(source, target)
    return remote


def move_to(project: Project, partition: str) -> None:
    """Name another partition for CPU jobs in the profile, where a user would."""
    profile = project.folder / "profiles/slurm/config.yaml"
    profile.write_text(profile.read_text().replace("cpu: cpu", f"cpu: {partition}"))


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


def assert_same(project: Project, undisturbed: Project) -> None:
    """All results that were asked for are intact and have the bits of the undisturbed run; nothing else lies about."""
    assert [found for found in check_results(project.results) if found.problem and found.store.exists()] == []
    mine, theirs = project.digests(), undisturbed.digests()
    assert mine == {path: theirs[path] for path in mine}
    assert list(project.results.rglob(".*.tmp*")) == []


def slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def await_jobs(process: subprocess.Popen[str], partition: str, count: int, besides: Collection[str] = ()) -> list[str]:
    """Ids of the jobs ``besides`` some that run Python in a partition, as soon as there are ``count``."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None:
        query = ("squeue", "-h", "-t", "RUNNING", "-p", partition, "-o", "%i")
        jobs = [job for job in slurm(*query).split() if job not in besides]
        if len(jobs) >= count:
            return jobs
        time.sleep(0.2)
    raise AssertionError(f"{count} jobs never ran at once")


def ended_jobs(folder: Path) -> list[dict[str, str]]:
    """What SLURM recorded of every job that ended, or was stopped to be requeued, in a folder."""
    lines = (Path(os.environ["RGFLOW_SLURM"]) / "log" / "jobs.txt").read_text().splitlines()
    records = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
    return [record for record in records if record["WorkDir"] == str(folder)]


def states(project: Project) -> list[str]:
    """Of the jobs that ended."""
    return [job["JobState"] for job in ended_jobs(project.folder)]


def test_study_through_the_profile_equals_the_undisturbed_run(undisturbed: Project, remote: Project) -> None:
    complete(remote, "comparison")
    assert_same(remote, undisturbed)
    assert remote.digests().keys() == undisturbed.digests().keys()
    partitions = [job["Partition"] for job in ended_jobs(remote.folder)]
    assert partitions.count("gpu") == 3  # two blocks sampled and one trained of the wide network
    assert partitions.count("cpu") == len(undisturbed.digests()) - 3


def test_one_block_on_the_dask_workers_of_two_nodes_whose_scheduler_is_killed(
    undisturbed: Project, prepared: Project
) -> None:
    spread = [f"ensemble_block:{item}" for item in ("nodes=2", "tasks=3", "mpi=True", "dask=srun")]
    move_to(prepared, "wide")
    with snakemake(prepared, BLOCKS[0], "--set-resources", *spread) as process:
        (job,) = await_jobs(process, "wide", 1)
        time.sleep(6)  # until the scheduler is up and its workers are on their way
        slurm("scancel", "--signal=KILL", "--full", job)
        status = process.wait(SECONDS)
    assert status == 0, messages(prepared)
    assert_same(prepared, undisturbed)
    ended = ended_jobs(prepared.folder)
    assert [(job["NodeCnt"], job["NodeList"]) for job in ended] == [("2", "n[5-6]")] * 2
    assert [job["JobState"] for job in ended] == ["CANCELLED", "COMPLETED"]


def test_killed_snakemake_killed_and_cancelled_jobs_lost_node(undisturbed: Project, prepared: Project) -> None:
    move_to(prepared, "frail")
    with snakemake(prepared, *BLOCKS[:2]) as process:
        orphans = await_jobs(process, "frail", 2)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    assert set(orphans) <= set(slurm("squeue", "-h", "-p", "frail", "-o", "%i").split())
    slurm("scancel", "--signal=KILL", "--full", orphans[0])

    assert prepared.snakemake("--unlock").returncode == 0
    with snakemake(prepared, *BLOCKS[:2]) as process:
        (cancelled, *_) = await_jobs(process, "frail", 1, besides=orphans)
        slurm("scancel", cancelled)
        await_jobs(process, "frail", 1, besides=[*orphans, cancelled])
        slurm("scontrol", "update", "nodename=n3", "state=drain", "reason=test")
        slurm("scontrol", "update", "nodename=n3", "state=down", "reason=test")
        time.sleep(6)  # until the node has ended its job, as a node that was really lost would have
        status = wait_with_requeued_jobs(process, "frail")
    assert status == 0, messages(prepared)
    assert {"CANCELLED", "NODE_FAIL"} <= set(states(prepared))
    assert_same(prepared, undisturbed)
    assert [path for path in BLOCKS[:2] if not (prepared.folder / path).exists()] == []


def test_requeued_and_preempted_jobs(undisturbed: Project, prepared: Project) -> None:
    """SLURM starts these jobs again by itself; Snakemake must wait for them, and count no failure."""
    move_to(prepared, "low")
    with snakemake(prepared, *BLOCKS[:2], "--retries", "0") as process:
        first, second = sorted(await_jobs(process, "low", 2))
        slurm("scontrol", "requeue", first)
        slurm("sbatch", "--partition=high", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 1")
        await_jobs(process, "high", 1)
        status = wait_with_requeued_jobs(process, "low")
    assert status == 0, messages(prepared)
    listing = slurm("squeue", "-h", "-t", "all", "-p", "low", "-O", "JobID,RestartCnt")
    assert dict(line.split() for line in listing.splitlines()) == {first: "1", second: "1"}
    assert "PREEMPTED" in states(prepared)
    assert_same(prepared, undisturbed)
    assert [path for path in BLOCKS[:2] if not (prepared.folder / path).exists()] == []


def wait_with_requeued_jobs(process: subprocess.Popen[str], partition: str) -> int:
    """Exit status of Snakemake, while an operator brings nodes back and lets requeued jobs start, which SLURM holds back."""
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        operate("update", "nodename=n3", "state=resume")
        for job in slurm("squeue", "-h", "-t", "PENDING", "-p", partition, "-o", "%i").split():
            operate("release", job)
            operate("update", f"jobid={job}", "StartTime=now")
        time.sleep(2)
    return process.wait(1)


def operate(*words: str) -> None:
    """scontrol, which refuses what is not needed."""
    subprocess.run(["scontrol", *words], capture_output=True, timeout=30)
