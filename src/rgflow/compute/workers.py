"""Dask workers for one job: its own processes, those of an existing cluster, or one per task of a SLURM allocation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rgflow.compute.tasks import ONE_THREAD
from rgflow.errors import RgflowError

if TYPE_CHECKING:
    from distributed import LocalCluster

LOCAL, SRUN = "local", "srun"
_START_SECONDS = 300


@contextmanager
def workers(where: str) -> Iterator[str | None]:
    """Have dask workers for the time of a ``with`` block.

    Parameters
    ----------
    where
        ``local``: the job's own processes. ``srun``: one single-threaded worker per task of the SLURM allocation that this
        process is in, on all of its nodes; each sees only the GPU that SLURM gives its task. Otherwise the address or
        scheduler file of a running dask cluster.

    Yields
    ------
    Address or scheduler file of the cluster; None for own processes.

    Raises
    ------
    RgflowError
        ``srun`` outside an allocation, or workers that do not start.
    """
    if where != SRUN:
        yield None if where == LOCAL else where
        return
    tasks = _allocated_tasks()
    with _scheduler() as scheduler, _srun(tasks, scheduler.scheduler_address) as steps:
        _await_workers(scheduler, tasks, steps)
        yield str(scheduler.scheduler_address)


def _allocated_tasks() -> int:
    """Tasks of this job's allocation, asked of SLURM: Snakemake drops most SLURM variables from the environment."""
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise RgflowError(
            f"--cluster {SRUN}: not inside a SLURM job; allowed here: {LOCAL}, an address, a scheduler file"
        )
    query = ["squeue", "--noheader", "--jobs", job, "--Format", "NumTasks"]
    return int(subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout)


def _scheduler() -> LocalCluster:
    """A dask scheduler in this process that other nodes can reach."""
    from distributed import LocalCluster

    return LocalCluster(n_workers=0, host="0.0.0.0", dashboard_address="127.0.0.1:0")  # type: ignore[no-untyped-call]


@contextmanager
def _srun(tasks: int, address: str) -> Iterator[subprocess.Popen[bytes]]:
    """Workers started by srun; they end with the block, or when their scheduler is gone for a minute."""
    worker = [
        sys.executable,
        "-m",
        "dask",
        "worker",
        address,
        "--nthreads",
        "1",
        "--no-dashboard",
        "--death-timeout",
        "60",
    ]
    command = ["srun", "--overlap", f"--ntasks={tasks}", "--cpus-per-task=1", "--kill-on-bad-exit=0", *worker]
    steps = subprocess.Popen(command, env={**os.environ, **ONE_THREAD}, stdin=subprocess.DEVNULL)
    try:
        yield steps
    finally:
        steps.terminate()
        with suppress(subprocess.TimeoutExpired):
            steps.wait(30)
        steps.kill()


def _await_workers(scheduler: LocalCluster, tasks: int, steps: subprocess.Popen[bytes]) -> None:
    from distributed import Client

    with Client(scheduler) as client:  # type: ignore[no-untyped-call]
        try:
            client.wait_for_workers(tasks, timeout=_START_SECONDS)
        except TimeoutError:
            state = "is running" if steps.poll() is None else f"ended with status {steps.returncode}"
            found = len(client.scheduler_info()["workers"])
            raise RgflowError(f"--cluster {SRUN}: {found} of {tasks} workers came up; srun {state}") from None
