"""Ensembles of trained networks, in blocks of members or all at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.compute import find_device, map_tasks, one_thread
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.training.chunk import Chunk, ChunkRecord, members_per_chunk
from rgflow.training.combine import combine_training
from rgflow.training.losses import check_targets, loss_value
from rgflow.training.spec import TrainingSpec


def train_ensemble(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    members: int,
    test_targets: ArrayLike | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Train an ensemble of networks from independent initializations and return its members and their statistics.

    Each step is theta <- theta - eta lambda dL/dtheta with the learning-rate tensor of the network and a loss that is a
    sum, not a mean, over samples: exactly the training that ``training_theory`` predicts at infinite width.

    Parameters
    ----------
    network
        The networks, with C_b, C_W for their initialization and lambda_b, lambda_W for their training.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets, test_targets
        Shape (sample, output); test targets add test losses.
    members
        Size of the ensemble; member m is the same whatever the size.
    **settings
        Fields of ``TrainingSpec``: seed, learning_rate, steps, and optionally loss, optimizer, batch_size, dtype,
        ntk_steps, ntk_samples.

    Returns
    -------
    xr.Dataset
        As of ``combine_training``.

    Raises
    ------
    RgflowError
        Data that do not fit the network, a setting out of range, or training that leaves the finite
        numbers.
    """
    task = Task(train_inputs, train_targets, test_inputs, test_targets)
    return combine_training([train_block(network, task, TrainingSpec(**settings), range(members))])


def train_block(
    network: Network,
    task: Task,
    spec: TrainingSpec,
    members: range,
    *,
    device: str = "cpu",
    workers: int = 1,
    cluster: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Train some members of an ensemble.

    Parameters
    ----------
    network, task, spec
        What is trained, on what, and how.
    members
        Labels of the members, a range of step 1. Any split of the labels gives the same bits; blocks whose bounds are
        multiples of ``members_per_chunk`` waste no work.
    device
        "cpu", "cuda" or "auto", which is CUDA if there is one. The bits are those of the device.
    workers, cluster
        See ``compute.map_tasks``; the bits do not depend on them.
    progress
        Called as progress(done, total) with the number of chunks of members.

    Returns
    -------
    xr.Dataset
        ``prediction`` (member, step, sample, output), ``train_loss`` and, given test targets, ``test_loss`` (member,
        step); given ``ntk_steps``, ``NTK`` (member, ntk_step, ntk_sample_1, ntk_sample_2). Coordinate ``role`` tells
        train from test samples.

    Raises
    ------
    RgflowError
        As of ``train_ensemble``.
    """
    _check(network, task, spec, members)
    size = members_per_chunk(network, task.train_count)
    chunks = range(members.start // size, -(-members.stop // size))
    train = partial(_train_chunk, network, task, spec, device)
    trained = dict(map_tasks(train, chunks, workers, cluster, progress))
    records = [_select(trained[position], members, first=index * size) for position, index in enumerate(chunks)]
    return _dataset(task, spec, members, records)


def _train_chunk(network: Network, task: Task, spec: TrainingSpec, device: str, index: int) -> ChunkRecord:
    with one_thread():
        return Chunk(network, task, spec, index, find_device(device)).train()


def _check(network: Network, task: Task, spec: TrainingSpec, members: range) -> None:
    task.check_fits(network)
    check_targets(spec.loss, task.train_targets)
    if len(members) == 0 or members.start < 0 or members.step != 1:
        raise RgflowError(f"members = {members}; a block must be a non-empty range of labels from 0 on, with step 1")
    samples = len(task.inputs)
    if spec.ntk_samples is not None and not all(0 <= sample < samples for sample in spec.ntk_samples):
        raise RgflowError(f"ntk_samples = {list(spec.ntk_samples)}; they must lie within 0 and {samples - 1}")


def _select(record: ChunkRecord, members: range, first: int) -> ChunkRecord:
    """Keep the members of the block, from a chunk whose first member is ``first``."""
    kept = slice(max(members.start - first, 0), members.stop - first)
    return ChunkRecord(record.predictions[kept], None if record.ntk is None else record.ntk[kept])


def _dataset(task: Task, spec: TrainingSpec, members: range, records: list[ChunkRecord]) -> xr.Dataset:
    predictions = np.concatenate([record.predictions for record in records])
    train, test = np.split(predictions, [task.train_count], axis=2)
    data: dict[str, Any] = {
        "prediction": (("member", "step", "sample", "output"), predictions),
        "train_loss": (("member", "step"), loss_value(spec.loss, train, task.train_targets)),
    }
    if task.test_targets is not None:
        data["test_loss"] = (("member", "step"), loss_value(spec.loss, test, task.test_targets))
    coords = {"member": np.array(members), "step": np.array(spec.steps), **task.coordinates}
    ntks = [record.ntk for record in records if record.ntk is not None]
    if ntks:
        samples = np.arange(len(task.inputs)) if spec.ntk_samples is None else np.array(spec.ntk_samples)
        data["NTK"] = (("member", "ntk_step", "ntk_sample_1", "ntk_sample_2"), np.concatenate(ntks))
        coords |= {"ntk_step": np.array(spec.ntk_steps), "ntk_sample_1": samples, "ntk_sample_2": samples}
    return xr.Dataset(data, coords)
