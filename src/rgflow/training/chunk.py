"""The chunk: members drawn from one random stream and trained together as one batch.

Its size depends on the sizes of the networks and the train set alone, and a chunk is always trained whole. A member
therefore has the same bits whatever the block, the worker or the number of members after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.sampling.rng import Streams
from rgflow.task import Task
from rgflow.training.batches import TrainBatch, full_batches, mini_batches
from rgflow.training.frozen import Frozen
from rgflow.training.losses import output_cotangent
from rgflow.training.mlp import (
    Buffers,
    Parameters,
    cotangents,
    draw_parameters,
    outputs,
    preactivations,
    run_forward,
    with_twins,
)
from rgflow.training.ntk import empirical_ntk
from rgflow.training.optimizers import make_optimizer
from rgflow.training.records import ChunkRecord, Recorder
from rgflow.training.spec import TrainingSpec

_NUMBERS_IN_CACHE = 3 << 19  # measured: larger batches leave the cache, smaller ones pay per call
_LARGEST_CHUNK = 128
_PARAMETERS, _ORDER = 0, 1  # random streams of a chunk


def members_per_chunk(network: Network, train_count: int) -> int:
    """Return the number of members per chunk, a power of two from 2, so that it holds twins, up to 128.

    Blocks made of whole chunks train no member twice.
    """
    widths = network.widths
    parameters = sum(n_in * n_out for n_in, n_out in pairwise(widths))
    signals = 3 * train_count * sum(widths[1:])  # sigma, sigma' and the cotangent
    fitting = max(2, _NUMBERS_IN_CACHE // (parameters + signals))
    return min(_LARGEST_CHUNK, 1 << (fitting.bit_length() - 1))


def _key(network: Network, seed: int) -> str:
    """What fixes the draws: seed and law of the initialization, so that ways to train are compared on equal starts."""
    return f"training {seed} {network.activation.draws_key} {network.widths} {network.C_b} {network.C_W}"


class Chunk:
    """One chunk in training.

    Parameters
    ----------
    network, task, spec
        What is trained, on what, and how.
    index
        Number of the chunk: it holds the members from index * members_per_chunk on.
    device
        Torch device.
    """

    def __init__(self, network: Network, task: Task, spec: TrainingSpec, index: int, device: torch.device) -> None:
        self.network, self.task, self.spec = network, task, spec
        self.dtype, self.device = getattr(torch, spec.dtype), device
        self.size = members_per_chunk(network, task.train_count)
        self.index = index
        self.streams = Streams(_key(network, spec.seed), self.device)
        self.inputs = self._tensor(task.inputs)
        self.train_inputs, self.train_targets = self._tensor(task.train_inputs), self._tensor(task.train_targets)
        self.parameters = self._draw()

    def train(self, frozen: Frozen | None = None) -> ChunkRecord:
        """Train to the last recorded step and return the records; ``frozen`` goes with control variates."""
        recorder = Recorder(self.network, self.task, self.spec, frozen, min(self.size, self.spec.group))
        recorder.start(self.parameters, self.inputs, self._outputs(0))
        ntk_steps, kernel_steps, done = self.spec.recorded_ntk, self.spec.recorded_kernels, 0
        updates = self._updates()
        for step in sorted({*self.spec.recorded, *ntk_steps, *kernel_steps}):
            for _ in range(step - done):
                next(updates)
            done = step
            if step in self.spec.recorded:
                recorder.outputs(step, self._outputs(step))
            if step in ntk_steps:
                recorder.ntk(self.parameters, self._ntk_inputs)
            if step in kernel_steps:
                recorder.kernels(self.parameters, self.inputs)
        return recorder.result()

    def _updates(self) -> Iterator[None]:
        """Take one training step for every value asked for."""
        optimizer = make_optimizer(self.spec, self.network, self.parameters)
        cotangent_of = output_cotangent(self.spec.loss)
        buffers = Buffers(self.parameters)
        for inputs, targets in self._batches():
            run = run_forward(self.network, self.parameters, inputs, buffers)
            for layer, cotangent in cotangents(self.parameters, run, cotangent_of(run.outputs, targets), buffers):
                optimizer.update(layer, cotangent, run.signals[layer - 1])
            yield

    def _batches(self) -> Iterator[TrainBatch]:
        if self.spec.batch_size is None:
            return full_batches(self.train_inputs, self.train_targets)
        order = self.streams.generator(self.index, _ORDER)
        return mini_batches(self.train_inputs, self.train_targets, self.size, self.spec.batch_size, order)

    def _draw(self) -> Parameters:
        stream = self.streams.generator(self.index, _PARAMETERS)
        if not self.spec.antithetic:
            return draw_parameters(self.network, self.size, stream, self.dtype)
        return with_twins(draw_parameters(self.network, self.size // 2, stream, self.dtype))

    def _outputs(self, step: int) -> torch.Tensor:
        z = outputs(self.network, self.parameters, self.inputs)
        if not z.isfinite().all():
            raise RgflowError(self._failure(step))
        return z

    @property
    def _ntk_inputs(self) -> torch.Tensor:
        samples = self.spec.ntk_samples
        return self.inputs if samples is None else self.inputs[list(samples)]

    def _failure(self, step: int) -> str:
        """One line: where the first non-finite preactivation is, and why if the stability limit explains it."""
        layers = enumerate(preactivations(self.network, self.parameters, self.inputs), start=1)
        layer, bad = next((layer, ~z.isfinite()) for layer, z in layers if not z.isfinite().all())
        member = self.index * self.size + int(bad.nonzero()[0, 0])
        where = f"non-finite preactivation z at layer {layer} of member {member}"
        if step == 0:
            return f"{where} at initialization"
        return f"{where} by step {step}: training diverged; {self._stability()}"

    def _stability(self) -> str:
        """The stability limit of the chunk's NTK at initialization, next to the learning rate."""
        ntk = empirical_ntk(self.network, self._draw(), self.train_inputs, outputs=1)[:, 0, 0].double()
        limit = 2.0 / float(torch.linalg.eigvalsh(ntk)[:, -1].mean())
        return f"learning_rate = {self.spec.rate:.6g}, stability limit 2/theta_max = {limit:.6g}"

    def _tensor(self, values: NDArray[np.float64]) -> torch.Tensor:
        return torch.as_tensor(values, dtype=self.dtype, device=self.device)
