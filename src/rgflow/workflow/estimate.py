"""What a study will take before it runs: jobs, core-hours, memory and disk, calibrated by short probes on this machine.

A probe runs a stage on a small piece of the work: one group of a sampled ensemble, a few steps of a few trained networks,
theory at the smallest depth. Every activation is probed at the smallest network and at the largest that takes a few
seconds; the time of all other cells follows from their work. Times are of the processor, so a busy machine does not matter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rgflow.sampling.rng import GROUP
from rgflow.store.labels import parse_path
from rgflow.workflow.demand import Demand
from rgflow.workflow.stage import Resources, find_stage
from rgflow.workflow.study import Study

if TYPE_CHECKING:
    import xarray as xr

Labels = dict[str, str]
Cost = tuple[float, float]  # seconds and bytes of a job
Point = tuple[float, float]  # work and seconds

_LONGEST_PROBE = 2.0  # seconds
_MEMBERS = 128  # of a training probe: a multiple of any chunk
_FEW_STEPS, _STEPS = 2, 22  # the difference of both gives the time per step
_HOUR = 3600.0
_READS = {  # besides the inputs
    "theory/initialization": ("hyperparameters",),
    "theory/dntk": ("hyperparameters",),
    "dntk": ("hyperparameters",),
    "theory/learning_rate": ("hyperparameters",),
    "theory/training": ("hyperparameters",),
    "ensemble/block": ("hyperparameters",),
    "training/block": ("hyperparameters", "learning_rate"),
}


@dataclass(frozen=True)
class Line:
    """The jobs of one stage: how many, the time of all on one core each, memory of one, disk of all."""

    stage: str
    jobs: int
    seconds: float
    memory_mb: float
    disk: float

    @property
    def minutes(self) -> float:
        """Mean time of a job, in minutes."""
        return self.seconds / self.jobs / 60


def estimate(raw: Mapping[str, Any]) -> list[Line]:
    """Estimate every stage of a study; the figures and the report come on top, about three seconds for each figure.

    Raises
    ------
    RgflowError
        If the configuration is wrong, or a stage fails on its small piece.
    """
    study = Study(raw)
    probe = _Probe(study)
    start = _process_start()
    return [_line(stage, cells, probe, start) for stage, cells in _jobs(study) if cells]


def table(lines: Sequence[Line]) -> Iterator[str]:
    """The estimate as text, with the total and the share of process starts."""
    yield f"{'stage':<28}{'jobs':>8}{'core-hours':>12}{'min/job':>9}{'MB/job':>8}{'disk':>10}"
    for line in lines:
        yield _row(line.stage, line, f"{line.minutes:9.2f}{line.memory_mb:8.0f}")
    total = Line("", sum(x.jobs for x in lines), sum(x.seconds for x in lines), 0, sum(x.disk for x in lines))
    yield _row("total", total, " " * 17)


def _row(name: str, line: Line, middle: str) -> str:
    return f"{name:<28}{line.jobs:>8}{line.seconds / _HOUR:>12.3f}{middle}{_size(line.disk):>10}"


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _jobs(study: Study) -> Iterator[tuple[str, list[Labels]]]:
    """Every stage with the cells of its jobs; blocks of a cell count as one entry each."""
    initialization, training = study.initialization_depths, study.training_depths
    yield "inputs", [{}]
    yield "theory/criticality", [{"activation": name} for name in study.criticality_cells]
    yield (
        "theory/hyperparameters",
        list(_distinct([*_cells(study, initialization), *_cells(study, study.dntk_depths), *_cells(study, training)])),
    )
    yield "theory/initialization", _cells(study, initialization)
    yield "theory/dntk", _cells(study, study.dntk_depths)
    yield "theory/learning_rate", _cells(study, training)
    yield "theory/training", _cells(study, training)
    for stage, depths, blocks in (
        ("ensemble", initialization, study.ensemble_blocks),
        ("training", training, study.training_blocks),
    ):
        wide = _wide_cells(study, depths)
        yield f"{stage}/block", [{**cell, "block": block} for cell in wide for block in blocks]
        yield f"{stage}/combine", wide
    yield "dntk", _wide_cells(study, study.dntk_depths)
    yield "comparison/initialization", _cells(study, initialization)
    yield "comparison/dntk", _cells(study, study.dntk_depths)
    yield "comparison/training", _cells(study, training)
    yield "comparison/exact", [_labels(cell) for cell in study.exact_cells]
    yield "comparison/exponents", _cells(study, study.exponent_depths)


def _cells(study: Study, depths: Sequence[int]) -> list[Labels]:
    sweep = product(study.activations, study.initializations, depths)
    return [{"activation": a, "init": i, "depth": str(d)} for a, i, d in sweep]


def _wide_cells(study: Study, depths: Sequence[int]) -> list[Labels]:
    return [{**cell, "width": str(width)} for cell in _cells(study, depths) for width in study.config.networks.width]


def _labels(cell: str) -> Labels:
    return {key: str(value) for key, value in parse_path(PurePath(cell))[1].items()}


def _distinct(cells: Sequence[Labels]) -> Iterator[Labels]:
    return (dict(items) for items in dict.fromkeys(tuple(labels.items()) for labels in cells))


def _line(stage: str, cells: list[Labels], probe: _Probe, start: float) -> Line:
    cost = probe.cost(stage, cells)
    costs = [cost(labels) for labels in cells]
    memory = max(probe.demand.memory(stage, labels) for labels in cells)
    return Line(
        stage, len(cells), sum(s for s, _ in costs) + start * len(cells), memory, sum(size for _, size in costs)
    )


def _process_start() -> float:
    """Processor seconds until a job's process has loaded its libraries."""
    before = _children_seconds()
    subprocess.run([sys.executable, "-c", "import torch, zarr, xarray, dask.array"], check=True)
    return _children_seconds() - before


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


class _Probe:
    """Runs small pieces of stages and says what whole jobs cost."""

    def __init__(self, study: Study) -> None:
        self.study, self.demand = study, Demand(study)
        self._computed: dict[tuple[str, ...], xr.Dataset] = {}
        self.inputs = find_stage("inputs").load()({}, json.loads(study.spec("inputs")), Resources())

    def cost(self, stage: str, cells: Sequence[Labels]) -> Callable[[Labels], Cost]:
        """Seconds and bytes of a job as a function of its labels."""
        if stage == "ensemble/block":
            return self._fitted(stage, cells, self._sampling)
        if stage == "dntk":
            return self._fitted(stage, cells, self._differentials)
        if stage == "training/block":
            return self._fitted(stage, cells, self._training)
        if stage.startswith("theory/"):
            return self._theory(stage, cells)
        if stage == "training/combine":
            return lambda labels: (0.0, self.demand.result_bytes(stage, labels))
        size = float(self.inputs.nbytes) if stage == "inputs" else 0.0
        return lambda _: (0.0, size)

    def _fitted(
        self, stage: str, cells: Sequence[Labels], measure: Callable[[Labels], Cost]
    ) -> Callable[[Labels], Cost]:
        """Cost from two measured cells of each activation: seconds follow the work, bytes the depth."""

        def work(labels: Labels) -> float:
            return self.demand.work(stage, labels)

        fits = {name: _two_points(own, work, measure) for name, own in _by_activation(cells).items()}

        def cost(labels: Labels) -> Cost:
            seconds, bytes_per_layer = fits[labels["activation"]]
            return seconds(work(labels)), bytes_per_layer * _depth(labels)

        return cost

    def _sampling(self, labels: Labels) -> Cost:
        """Time and size of a whole block, from one group."""
        config, labels = self.demand.ensemble, {**labels, "block": "0000"}
        groups = config.block / GROUP
        settings = {**json.loads(self.study.spec("ensemble/block", labels))["ensemble"], "kept": 0}
        seconds, result = self._timed("ensemble/block", labels, {"count": GROUP, "ensemble": settings})
        kept = self.demand.kept_bytes(labels) * config.block / config.members
        return seconds * groups, result.nbytes * groups + kept

    def _differentials(self, labels: Labels) -> Cost:
        """Time and size of all networks, from two groups."""
        settings = json.loads(self.study.spec("dntk", labels))["dntk"]
        seconds, result = self._timed("dntk", labels, {"dntk": {**settings, "members": 2 * GROUP}})
        return seconds * settings["members"] / (2 * GROUP), result.nbytes

    def _training(self, labels: Labels) -> Cost:
        """Time and size of a whole block, from a few steps of a few members."""
        labels = {**labels, "block": "0000"}
        config = self.demand.training
        members = min(_MEMBERS, config.block)
        times, result = [], self.inputs
        for steps in (_FEW_STEPS, _STEPS):
            training = {**json.loads(self.study.spec("training/block", labels))["training"], "steps": steps}
            changes = {"count": members, "training": training}
            seconds, result = self._timed("training/block", labels, changes)
            times.append(seconds)
        per_step = max(times[1] - times[0], 0.0) / (_STEPS - _FEW_STEPS)
        scale = config.block / members
        records = min(config.records, config.steps) / result.sizes["step"]
        return (times[0] + per_step * config.steps) * scale, result.nbytes * scale * records

    def _theory(self, stage: str, cells: Sequence[Labels]) -> Callable[[Labels], Cost]:
        """Cost from the shallowest cell of each activation; it grows with the depth."""
        per_layer: dict[str, Cost] = {}
        for name, own in _by_activation(cells).items():
            shallow = min(own, key=_depth)
            seconds, result = self._timed(stage, shallow, {})
            per_layer[name] = seconds / _depth(shallow), result.nbytes / _depth(shallow)

        def cost(labels: Labels) -> Cost:
            seconds, size = per_layer[labels["activation"]]
            return seconds * _depth(labels), size * _depth(labels)

        return cost

    def _timed(self, stage: str, labels: Labels, changes: Mapping[str, Any]) -> tuple[float, xr.Dataset]:
        """Run a stage with some keys of its spec changed; seconds and result."""
        spec = {**json.loads(self.study.spec(stage, labels)), **changes}
        datasets = {role: [self._upstream(role, labels)] for role in _READS.get(stage, ())}
        began = time.process_time()
        result = find_stage(stage).load()({"inputs": [self.inputs], **datasets}, spec, Resources())
        return time.process_time() - began, result

    def _upstream(self, role: str, labels: Labels) -> xr.Dataset:
        """What a stage reads besides the inputs, computed once per cell."""
        key = (role, *(labels[name] for name in ("activation", "init", "depth")))
        if key not in self._computed:
            self._computed[key] = self._timed(f"theory/{role}", labels, {})[1]
        return self._computed[key]


def _two_points(
    cells: Sequence[Labels], work: Callable[[Labels], float], measure: Callable[[Labels], Cost]
) -> tuple[Callable[[float], float], float]:
    """Seconds as a function of work, from the smallest cell and the largest affordable one; and bytes per layer."""
    smallest = min(cells, key=work)
    measure(smallest)  # the first run of anything is slow
    began = time.process_time()
    seconds, size = measure(smallest)
    affordable = work(smallest) * _LONGEST_PROBE / (time.process_time() - began)
    largest = max((c for c in cells if work(c) <= affordable), key=work, default=smallest)
    points = [(work(smallest), seconds)]
    if work(largest) > work(smallest):
        points.append((work(largest), measure(largest)[0]))
    return _affine(points), size / _depth(smallest)


def _by_activation(cells: Sequence[Labels]) -> dict[str, list[Labels]]:
    grouped: dict[str, list[Labels]] = {}
    for labels in cells:
        grouped.setdefault(labels["activation"], []).append(labels)
    return grouped


def _depth(labels: Labels) -> int:
    return int(labels.get("depth", 1))


def _affine(points: Sequence[Point]) -> Callable[[float], float]:
    """Seconds as a function of work through one or two points, never falling; one point means proportionality."""
    (work, seconds), (more_work, more_seconds) = points[0], points[-1]
    if more_work <= work or more_seconds <= seconds:
        return lambda x: more_seconds * x / more_work
    slope = (more_seconds - seconds) / (more_work - work)
    return lambda x: max(seconds + slope * (x - work), seconds * x / work if x < work else 0.0)
