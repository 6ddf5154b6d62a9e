"""What a job asks of a cluster: memory and time, from the work of its cell and from the attempt.

Work is counted in floating-point operations by the leading terms below. Requests are generous: a cluster ends a job that
exceeds them, while a job that needs less only waits a little longer in the queue. Each further attempt asks for more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rgflow.sampling.memory import Footprint
from rgflow.sampling.rng import GROUP, chunk_members
from rgflow.workflow.config import Ensemble, Training
from rgflow.workflow.study import Study

Labels = Mapping[str, str]
Terms = dict[str, Callable[[Labels], float]]
Request = Callable[..., int]  # of Snakemake's wildcards, the attempt and, for memory, the threads

_BASE_MB = 1000  # of each process that has imported torch, xarray and the rest, with room to spare
_BASE_MINUTES = 15
_SLOWEST_FLOPS = 1e9  # per second: the smallest networks, whose time is overhead
_BYTES = 8
_COPIES = 4  # of a result: itself, its encoded form, and intermediates
_MB = 1e6
_OUTPUTS = 2  # neurons that are reported
_TILE = 768  # rows of a matrix of all inputs that are in memory at once, as in theory.infinite_width.kernels
_FEATURES = 1000  # of an input, before it is read
_TENSORS = 7  # with four sample legs, at most


class Demand:
    """Requests of the jobs of a study.

    Parameters
    ----------
    study : Study
        The study.
    """

    def __init__(self, study: Study) -> None:
        self.config = study.config
        self._work: Terms = {
            "theory/infinite_width": self._pairs,
            "ensemble/block": self._sampling,
            "dntk": self._differentials,
            "training/block": self._training,
        }
        self._numbers: Terms = {
            "theory/initialization": self._tensors,
            "ensemble/block": lambda labels: self._moments(labels, self.ensemble.block),
            "ensemble/combine": lambda labels: self._moments(labels, self.ensemble.members),
            "training/block": lambda labels: self._records(labels) * self.training.block,
            "training/combine": lambda labels: self._records(labels) * self.training.members,
        }

    @property
    def ensemble(self) -> Ensemble:
        """Settings of the ensembles; only asked for jobs of a study that has them."""
        assert self.config.ensemble is not None
        return self.config.ensemble

    @property
    def training(self) -> Training:
        """Settings of training; only asked for jobs of a study that has it."""
        assert self.config.training is not None
        return self.config.training

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

    def memory(self, stage: str, labels: Labels) -> float:
        """MB of a process: the interpreter, copies of what it reads or writes, and for ensembles what it draws at once."""
        drawn = self._chunk_bytes(labels) if stage == "ensemble/block" else 0
        streamed = self._samples * _TILE * _BYTES if stage == "theory/infinite_width" else 0
        return _BASE_MB + ((self.result_bytes(stage, labels) + streamed) * _COPIES + drawn) / _MB

    def result_bytes(self, stage: str, labels: Labels) -> float:
        """Bytes of all that a job reads or writes, uncompressed; 0 for stages whose results are small."""
        return self._numbers[stage](labels) * _BYTES if stage in self._numbers else 0.0

    def kept_bytes(self, labels: Labels) -> float:
        """Bytes of the members of one ensemble that are kept one by one: preactivations and NTK of two neurons."""
        inputs = self.config.inputs.probes
        return float(self.ensemble.kept * int(labels["depth"]) * (2 * inputs + 4 * inputs**2) * _BYTES)

    def minutes(self, stage: str, labels: Labels) -> float:
        """Minutes of a job on one core that is slow."""
        return _BASE_MINUTES + self.work(stage, labels) / _SLOWEST_FLOPS / 60

    def work(self, stage: str, labels: Labels) -> float:
        """Floating-point operations of a job; 0 for stages whose time is mostly their start."""
        return self._work[stage](labels) if stage in self._work else 0.0

    def _chunk_bytes(self, labels: Labels) -> int:
        """Bytes of a chunk of networks; inputs count as no wider than the network."""
        depth, width = int(labels["depth"]), int(labels["width"])
        footprint = Footprint(
            widths=(width,) * depth + (_OUTPUTS,),
            inputs=self.config.inputs.probes,
            layers=depth,
            outputs=_OUTPUTS,
            tensors=len(self.ensemble.tensors),
            itemsize=_BYTES if self.ensemble.dtype == "float64" else _BYTES // 2,
            weights=self.ensemble.sampler == "weights",
        )
        return footprint.chunk_bytes(chunk_members(footprint.largest_array, "cpu"))

    def _sampling(self, labels: Labels) -> float:
        """Members x layers x what a layer costs: n N draws and N^2 n products, or n^2 weights that meet N inputs."""
        inputs, depth, width = self.config.inputs.probes, int(labels["depth"]), int(labels["width"])
        marginal = width * inputs * (40 + 8 * inputs) + 100 * inputs**4
        weights = width**2 * (10 + 6 * inputs) if self.ensemble.sampler == "weights" else 0
        return float(self.ensemble.block * depth * (marginal + weights))

    def _differentials(self, labels: Labels) -> float:
        """Members x triples of outputs and inputs x some ten operations on every weight, several times over."""
        assert self.config.dntk is not None  # only asked for jobs of a study that has it
        depth, width, outputs = int(labels["depth"]), int(labels["width"]), _OUTPUTS * self.config.inputs.probes
        return float(self.config.dntk.members * outputs**3 * 100 * (depth * width**2 + 1000))

    def _training(self, labels: Labels) -> float:
        """Members x steps x 6 operations per weight and sample: forward, backward, gradient."""
        depth, width = int(labels["depth"]), int(labels["width"])
        weights = depth * width**2 + 1000  # few weights cost as much as a thousand
        return float(self.training.block * self.training.steps * 6 * weights * self._samples)

    @property
    def _samples(self) -> int:
        return self.config.inputs.train + self.config.inputs.test

    def _pairs(self, labels: Labels) -> float:
        """Pairs of inputs times the products of their features and what every layer does to them."""
        return float(self._samples**2 * (2 * _FEATURES + 100 * int(labels["depth"])))

    def _tensors(self, labels: Labels) -> float:
        """Numbers in all tensors with four sample legs."""
        return float(_TENSORS * int(labels["depth"]) * self.config.inputs.probes**4)

    def _moments(self, labels: Labels, members: int) -> float:
        """Numbers in the moments of all groups, about three for each tensor, and in the members kept one by one."""
        return 3 * self._tensors(labels) * members / GROUP + self.kept_bytes(labels) / _BYTES

    def _records(self, _: Labels) -> float:
        """Numbers kept of one trained member: its outputs at the recorded steps, and two kernels."""
        outputs = max(1, len(self.config.inputs.classes))
        return float(self.training.records * self._samples * outputs + 2 * self._samples**2)
