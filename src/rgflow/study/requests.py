"""What a job asks of a cluster: memory and time, from the cost of its cell and from the attempt.

Requests are generous: a cluster ends a job that exceeds them, while a job that needs less only waits a little longer in the
queue. Each further attempt asks for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rgflow.study import catalogue
from rgflow.study.plan import Study

Labels = Mapping[str, str]
Request = Callable[..., int]  # of Snakemake's wildcards, the attempt and, for memory, the threads

_BASE_MB = 1000  # of each process that has imported torch, xarray and the rest, with room to spare
_BASE_MINUTES = 15
_SLOWEST_FLOPS = 1e9  # per second: the smallest networks, whose time is overhead
_BYTES = 8
_COPIES = 4  # of a result: itself, its encoded form, and intermediates
_MB = 1e6


class Requests:
    """Requests of the jobs of a study.

    Parameters
    ----------
    study : Study
        The study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def mem_mb(self, stage: str) -> Request:
        """Memory of a stage's job as a function of (wildcards, attempt, threads), in MB; it doubles with every attempt.

        Each thread is a worker process of its own.
        """

        def request(wildcards: Any, attempt: int, threads: int = 1) -> int:
            return math.ceil(self.memory(stage, dict(wildcards.items())) * threads * 2.0 ** (attempt - 1))

        return request

    def runtime(self, stage: str) -> Request:
        """Time of a stage's job as a function of (wildcards, attempt), in minutes; it doubles with every attempt."""
        return lambda wildcards, attempt: math.ceil(self.minutes(stage, dict(wildcards.items())) * 2 ** (attempt - 1))

    def memory(self, stage_name: str, labels: Labels) -> float:
        """MB of a process: the interpreter, copies of what it reads or writes, and what it draws at once."""
        stage = catalogue.find_stage(stage_name)
        drawn = stage.cost.drawn(self.study.config, self.study.cell(stage, labels))
        return _BASE_MB + (self.result_bytes(stage_name, labels) * _COPIES + drawn) / _MB

    def result_bytes(self, stage_name: str, labels: Labels) -> float:
        """Bytes of all that a job reads or writes, uncompressed; 0 for stages whose results are small."""
        stage = catalogue.find_stage(stage_name)
        return stage.cost.numbers(self.study.config, self.study.cell(stage, labels)) * _BYTES

    def minutes(self, stage_name: str, labels: Labels) -> float:
        """Minutes of a job on one core that is slow."""
        return _BASE_MINUTES + self.work(stage_name, labels) / _SLOWEST_FLOPS / 60

    def work(self, stage_name: str, labels: Labels) -> float:
        """Floating-point operations of a job; 0 for stages whose time is mostly their start."""
        stage = catalogue.find_stage(stage_name)
        return stage.cost.work(self.study.config, self.study.cell(stage, labels))
