"""What a study will take before it runs: jobs, core-hours, memory and disk, calibrated by short probes on this machine.

A probe runs a stage on a small piece of the work, as its chapter says: one group of a sampled ensemble, a few steps of a few
trained networks. Every activation is probed at the smallest cell and at the largest that takes a few seconds; the time of
all other cells follows from their work. Times are of the processor, so a busy machine does not matter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rgflow.study import catalogue
from rgflow.study.plan import Study
from rgflow.study.requests import Requests
from rgflow.study.stage import Labelled, Piece, Resources, Stage

if TYPE_CHECKING:
    import xarray as xr

Labels = dict[str, str]
_Cost = tuple[float, float]  # seconds and bytes of a job
_Point = tuple[float, float]  # work and seconds

_LONGEST_PROBE = 2.0  # seconds
_HOUR = 3600.0


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
    probe, start = _Probe(study), _process_start()
    wanted = [stage for stage in study.stages if stage.wanted or _is_read(stage, study)]
    return [_line(stage, study.cells(stage.name), probe, start) for stage in wanted]


def _is_read(stage: Stage, study: Study) -> bool:
    return any(stage.name in other.reads.values() for other in study.stages)


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


def _line(stage: Stage, cells: list[Labels], probe: _Probe, start: float) -> Line:
    cost = probe.cost(stage, cells)
    costs = [cost(labels) for labels in cells]
    memory = max(probe.requests.memory(stage.name, labels) for labels in cells)
    seconds, disk = sum(s for s, _ in costs) + start * len(cells), sum(size for _, size in costs)
    return Line(stage.name, len(cells), seconds, memory, disk)


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
        self.study, self.requests = study, Requests(study)
        self._computed: dict[tuple[str, tuple[str, ...]], xr.Dataset] = {}

    def cost(self, stage: Stage, cells: Sequence[Labels]) -> Callable[[Labels], _Cost]:
        """Seconds and bytes of a job as a function of its labels."""
        if stage.cost.piece is None:
            return lambda labels: (0.0, self._stored_bytes(stage, labels))
        fits = {key: self._fit(stage, own) for key, own in _by_activation(cells).items()}

        def cost(labels: Labels) -> _Cost:
            seconds, bytes_per_layer = fits[labels.get("activation", "")]
            return seconds(self.requests.work(stage.name, labels)), bytes_per_layer * _depth(labels)

        return cost

    def _stored_bytes(self, stage: Stage, labels: Labels) -> float:
        """Bytes of a job without a probe; what reads nothing is run, as it is small."""
        if not stage.reads and not stage.axes:
            return float(self._upstream(stage.name, labels).nbytes)
        return self.requests.result_bytes(stage.name, labels)

    def _fit(self, stage: Stage, cells: Sequence[Labels]) -> tuple[Callable[[float], float], float]:
        return _two_points(
            cells,
            lambda labels: self.requests.work(stage.name, labels),
            lambda labels: self._measured(stage, labels),
        )

    def _measured(self, stage: Stage, labels: Labels) -> _Cost:
        """Time and size of a whole job, from a piece of it."""
        spec = json.loads(self.study.spec(stage.name, labels))
        assert stage.cost.piece is not None
        piece: Piece = stage.cost.piece(self.study.config, self.study.cell(stage, labels), spec)
        datasets = self._datasets(stage, labels)
        began = time.process_time()
        result = stage.load()(datasets, piece.spec, Resources())
        return (time.process_time() - began) * piece.seconds, result.nbytes * piece.bytes

    def _datasets(self, stage: Stage, labels: Labels) -> dict[str, list[Labelled]]:
        """One dataset of each role, none of a stage that the study does not have."""
        given = {role: name for role, name in stage.reads.items() if self.study.cells(name)}
        return {role: [Labelled(labels, self._upstream(name, labels))] for role, name in given.items()}

    def _upstream(self, name: str, labels: Labels) -> xr.Dataset:
        """What a stage reads, computed once per cell; of an expensive stage, from a piece."""
        stage = catalogue.find_stage(name)
        key = (name, tuple(labels[axis] for axis in stage.axes))
        if key not in self._computed:
            spec = json.loads(self.study.spec(name, labels))
            if stage.cost.piece is not None:
                spec = stage.cost.piece(self.study.config, self.study.cell(stage, labels), spec).spec
            self._computed[key] = stage.load()(self._datasets(stage, labels), spec, Resources())
        return self._computed[key]


def _two_points(
    cells: Sequence[Labels], work: Callable[[Labels], float], measure: Callable[[Labels], _Cost]
) -> tuple[Callable[[float], float], float]:
    """Seconds as a function of work, from the smallest cell and the largest affordable one; and bytes per layer."""
    smallest = min(cells, key=work)
    measure(smallest)  # the first run of anything is slow
    began = time.process_time()
    seconds, size = measure(smallest)
    affordable = work(smallest) * _LONGEST_PROBE / max(time.process_time() - began, 1e-3)
    largest = max((c for c in cells if work(c) <= affordable), key=work, default=smallest)
    points = [(work(smallest), seconds)]
    if work(largest) > work(smallest):
        points.append((work(largest), measure(largest)[0]))
    return _affine(points), size / _depth(smallest)


def _by_activation(cells: Sequence[Labels]) -> dict[str, list[Labels]]:
    grouped: dict[str, list[Labels]] = {}
    for labels in cells:
        grouped.setdefault(labels.get("activation", ""), []).append(labels)
    return grouped


def _depth(labels: Labels) -> int:
    return int(labels.get("depth", 1))


def _affine(points: Sequence[_Point]) -> Callable[[float], float]:
    """Seconds as a function of work through one or two points, never falling; one point means proportionality."""
    (work, seconds), (more_work, more_seconds) = points[0], points[-1]
    if more_work <= work or more_seconds <= seconds:
        return lambda x: more_seconds * x / more_work
    slope = (more_seconds - seconds) / (more_work - work)
    return lambda x: max(seconds + slope * (x - work), seconds * x / work if x < work else 0.0)
