"""Stages as real processes that die, stop or fail at a chosen moment.

Every job is forked from one server process that has the libraries loaded, so that dozens of faults cost seconds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from rgflow.store.check import check_results
from rgflow.store.manifest import read_manifest, store_of
from rgflow.study.catalogue import stages
from rgflow.study.plan import Study

CONFIG: dict[str, Any] = {
    "study": "faults",
    "inputs": {"source": "gaussian", "features": 4, "train": 6, "test": 4, "probes": 2},
    "networks": {"activation": ["relu"], "width": [8]},
    "ensemble": {"depth": [3], "members": 4000, "block": 2000},
    "training": {"depth": [2], "members": 8, "block": 4, "steps": 20, "records": 4},
}
LABELS = {"activation": "relu", "init": "critical", "width": "8"}
SWEPT = {"rates": "b=0-W=1", "step_fraction": "0.5", "train": "6"}
INITIALIZATION, TRAINING = {**LABELS, "depth": "3"}, {**LABELS, "depth": "2", **SWEPT}
DEEP = {"inputs": ["inputs"], "hyperparameters": ["deep"]}
SHALLOW = {"inputs": ["inputs"], "hyperparameters": ["shallow"]}

_context = multiprocessing.get_context("forkserver")
_STAGES = [stage.run for stage in stages().values()]
_context.set_forkserver_preload(["dask.array", "zarr", "rgflow.study.runner", "rgflow.store.publish", *_STAGES])


@dataclass(frozen=True)
class Job:
    """One job of the study: its stage, cell, output, and the outputs of which jobs it reads."""

    stage: str
    labels: dict[str, str]
    output: str
    inputs: dict[str, list[str]]


JOBS = {
    job.output: job
    for job in (
        Job("inputs", {}, "inputs", {}),
        Job("theory/hyperparameters", INITIALIZATION, "deep", {}),
        Job("theory/hyperparameters", TRAINING, "shallow", {}),
        Job("theory/initialization", INITIALIZATION, "theory", DEEP),
        Job("theory/learning_rate", TRAINING, "rate", SHALLOW),
        Job("ensemble/block", {**INITIALIZATION, "block": "0000"}, "block~0000", DEEP),
        Job("ensemble/block", {**INITIALIZATION, "block": "0001"}, "block~0001", DEEP),
        Job("ensemble/combine", INITIALIZATION, "ensemble", {"blocks": ["block~0000", "block~0001"]}),
        Job(
            "training/block",
            {**TRAINING, "block": "0000"},
            "trained",
            {**SHALLOW, "learning_rate": ["rate"]},
        ),
    )
}


@dataclass
class Results:
    """A folder of results, the jobs that make them, and a record of what was computed."""

    folder: Path

    @property
    def computed(self) -> list[str]:
        """Outputs in the order in which jobs began to compute them."""
        record = self.folder / "computed.log"
        return record.read_text().split() if record.exists() else []

    def manifest(self, output: str) -> Path:
        return self.folder / f"{output}.json"

    def start(self, output: str, fault: str = "none") -> ForkServerProcess:
        """Start the job of ``output``, with a fault armed."""
        process = _context.Process(target=run_job, args=(self.folder, output, fault))
        process.start()
        return process

    def run(self, output: str, fault: str = "none") -> int | None:
        """Run the job to its end; returns its exit code, negative for a signal."""
        process = self.start(output, fault)
        process.join(120)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"{output} with {fault} hangs")
        return process.exitcode

    def problems(self) -> list[str]:
        return [f"{finding.store.name}: {finding.problem}" for finding in check_results(self.folder) if finding.problem]

    def content(self, output: str) -> Any:
        """The digests of the values that are stored now under the final name."""
        from rgflow.store.digest import digest_variables
        from rgflow.store.publish import open_zarr

        with open_zarr(store_of(self.manifest(output))) as dataset:
            return digest_variables(dataset)

    def expected(self, output: str) -> Any:
        return read_manifest(self.manifest(output))["variables"]


def run_job(folder: Path, output: str, fault: str) -> None:
    """In the job's process: arm the fault, note the computation, run the stage."""
    from rgflow.study import runner, stage
    from rgflow.study.catalogue import find_stage
    from rgflow.study.stage import Resources

    stage.code_digest = str  # not at stake here, and dearer than these small jobs
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
    job = JOBS[output]
    FAULTS[fault]()
    runner._compute = _noted(runner._compute, folder / "computed.log", output)
    os.dup2(os.open(folder / "stderr.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    inputs = {role: [folder / f"{name}.json" for name in names] for role, names in job.inputs.items()}
    spec = json.loads(Study(CONFIG).spec(job.stage, job.labels))
    runner.run_stage(find_stage(job.stage), spec, inputs, folder / f"{output}.json", Resources())


def _noted(compute: Callable[..., Any], record: Path, output: str) -> Callable[..., Any]:
    @wraps(compute)
    def noted(*arguments: Any) -> Any:
        with record.open("a") as file:
            file.write(f"{output}\n")
        return compute(*arguments)

    return noted


def _before(module: str, name: str, number: int) -> Callable[[], None]:
    """Send this process a signal when it is about to call ``module.name``."""
    return lambda: _wrap(module, name, lambda call: (os.kill(os.getpid(), number), call())[1])


def _after(module: str, name: str, number: int) -> Callable[[], None]:
    """Send this process a signal when ``module.name`` has returned."""
    return lambda: _wrap(module, name, lambda call: (call(), os.kill(os.getpid(), number))[0])


def _wrap(module: str, name: str, around: Callable[[Callable[[], Any]], Any]) -> None:
    from importlib import import_module

    owner: ModuleType = import_module(module)
    original = getattr(owner, name)
    setattr(owner, name, lambda *arguments, **options: around(lambda: original(*arguments, **options)))


def _half_written() -> None:
    """Die when the first half of the variables is on disk."""
    import xarray as xr

    write = xr.Dataset.to_zarr

    def half(dataset: xr.Dataset, *arguments: Any, **options: Any) -> None:
        names = list(dataset.data_vars)
        write(dataset[names[: max(1, len(names) // 2)]], *arguments, **{**options, "consolidated": False})
        os.kill(os.getpid(), signal.SIGKILL)

    xr.Dataset.to_zarr = half  # type: ignore[assignment, method-assign]


def _small_files() -> None:
    """No file may grow beyond 100 bytes: writes fail as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))


def _few_files() -> None:
    """No further file can be opened."""
    _wrap("rgflow.study.runner", "_publish", lambda call: (resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)), call()))


def _flipped_bit() -> None:
    """What is written is not what was computed: one byte of the largest chunk is flipped on its way to the disk."""
    from rgflow.store import publish

    write = publish.write_zarr

    def damaged(dataset: Any, path: Path, provenance: Any) -> None:
        write(dataset, path, provenance)
        chunk = max((p for p in path.rglob("c/**/*") if p.is_file()), key=lambda p: p.stat().st_size)
        content = bytearray(chunk.read_bytes())
        content[len(content) // 2] ^= 1
        chunk.write_bytes(bytes(content))

    publish.write_zarr = damaged


_RUNNER, _PUBLISH, _MEMO = "rgflow.study.runner", "rgflow.store.publish", "rgflow.store.memo"

KILLS: dict[str, Callable[[], None]] = {
    "killed while computing": _before(_RUNNER, "_compute", signal.SIGKILL),
    "killed before it writes": _before(_PUBLISH, "write_zarr", signal.SIGKILL),
    "killed with half of the store written": _half_written,
    "killed before it verifies": _after(_PUBLISH, "write_zarr", signal.SIGKILL),
    "killed before it renames": _before(_PUBLISH, "replace_directory", signal.SIGKILL),
    "killed between store and manifest": _before(_PUBLISH, "write_manifest", signal.SIGKILL),
    "killed while it writes the manifest": _before("os", "fsync", signal.SIGKILL),
    "killed before it remembers": _before(_MEMO, "keep", signal.SIGKILL),
    "killed while it remembers": _after(_MEMO, "_link_tree", signal.SIGKILL),
}
FAILURES: dict[str, Callable[[], None]] = {
    "cancelled while computing": _before(_RUNNER, "_compute", signal.SIGTERM),
    "interrupted while computing": _before(_RUNNER, "_compute", signal.SIGINT),
    "cancelled while publishing": _before(_PUBLISH, "replace_directory", signal.SIGTERM),
    "disk full": _small_files,
    "no file handles": _few_files,
    "bit flipped on the way to disk": _flipped_bit,
}
STOPS: dict[str, Callable[[], None]] = {
    "stopped before it writes": _before(_PUBLISH, "write_zarr", signal.SIGSTOP),
    "stopped before it renames": _before(_PUBLISH, "replace_directory", signal.SIGSTOP),
    "stopped between store and manifest": _before(_PUBLISH, "write_manifest", signal.SIGSTOP),
    "stopped before it remembers": _before(_MEMO, "keep", signal.SIGSTOP),
}
FAULTS = {"none": lambda: None, **KILLS, **FAILURES, **STOPS}
