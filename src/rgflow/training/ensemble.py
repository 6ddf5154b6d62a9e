"""Ensembles of trained networks, in blocks of members or all at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rgflow.calls import checked
from rgflow.compute.machine import find_device, one_thread, physical_memory
from rgflow.compute.tasks import map_tasks
from rgflow.errors import RgflowError, TransientError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.learning.rate import learning_rate
from rgflow.training.chunk import Chunk, members_per_chunk
from rgflow.training.combine import combine_training
from rgflow.training.frozen import Frozen
from rgflow.training.losses import check_targets, loss_value
from rgflow.training.records import STARTING, STEPPED, ChunkRecord
from rgflow.training.spec import TrainingSpec, check_samples

Array = NDArray[np.float64]


@checked
def train_ensemble(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    test_targets: ArrayLike | None = None,
    tensors: xr.Dataset | None = None,
    **settings: Any,
) -> xr.Dataset:
    """Train an ensemble of networks from independent initializations and return estimates with their errors.

    PDLT, chapters 7 and 10.

    Each step is theta <- theta - eta lambda dL/dtheta with the learning-rate tensor of the network and a loss that is a
    sum, not a mean, over samples: exactly the training that ``training_theory`` predicts.

    Parameters
    ----------
    network
        The networks, with C_b, C_W for their initialization and lambda_b, lambda_W for their training.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets, test_targets
        Shape (sample, output); test targets add test losses.
    tensors
        See ``combine_training``.
    **settings
        Fields of ``TrainingSpec``: members, seed, learning_rate or step_fraction, steps, and whatever else is not to have
        its default. Member m is the same whatever the number of members.

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
    try:
        spec = TrainingSpec(**settings)
    except TypeError as error:
        raise RgflowError(f"train_ensemble: {str(error).partition(') ')[2]}") from None
    return combine_training([train_block(network, task, spec, range(spec.members))], tensors)


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
        What is trained, on what, and how; ``spec.members`` and ``spec.block`` are not used.
    members
        Labels of the members, whole groups: a range of step 1 with multiples of ``spec.group`` as bounds. Any split gives
        the same bits; blocks whose bounds are multiples of ``members_per_chunk`` waste no work.
    device
        "cpu", "cuda" or "auto", which is CUDA if there is one. The bits are those of the device.
    workers, cluster
        See ``compute.map_tasks``; the bits do not depend on them.
    progress
        Called as progress(done, total) with the number of chunks of members.

    Returns
    -------
    xr.Dataset
        Means over the members of each ``group``, see ``training.records``, and ``prediction`` (member, step, sample,
        output) and the losses (member, step) of the first members, those below ``spec.keep``; with control variates also
        the infinite-width ``K_output``, ``Theta_output``.

    Raises
    ------
    RgflowError
        As of ``train_ensemble``.
    """
    _check(network, task, spec, members)
    spec = with_learning_rate(network, task, spec)
    frozen = Frozen.of(network, task, spec.rate) if spec.control_variates else None
    size = members_per_chunk(network, task.train_count)
    chunks = range(members.start // size, -(-members.stop // size))
    _check_memory(network, task, spec, len(chunks) * max(1, size // spec.group))
    train = partial(_train_chunk, network, task, spec, frozen, device)
    trained = dict(map_tasks(train, chunks, workers, cluster, progress))
    records = [trained[position] for position in range(len(chunks))]
    groups = _groups(records, members, spec.group, size)
    predictions = np.concatenate([record.predictions for record in records])
    first = chunks.start * size
    kept = predictions[members.start - first :][: len(members)]
    return _dataset(network, task, spec, members, groups, kept).assign(_theory(frozen))


def with_learning_rate(network: Network, task: Task, spec: TrainingSpec) -> TrainingSpec:
    """Return the spec with its learning rate as a number: step_fraction * 2 / theta_max unless it is one."""
    if spec.learning_rate is not None:
        return spec
    return replace(spec, learning_rate=learning_rate(network, task.train_inputs, spec.step_fraction))


def _train_chunk(
    network: Network, task: Task, spec: TrainingSpec, frozen: Frozen | None, device: str, index: int
) -> ChunkRecord:
    with one_thread():
        chunk = Chunk(network, task, spec, index, find_device(device))
        record = chunk.train(frozen)
    kept = max(0, spec.keep - index * chunk.size)
    return replace(record, predictions=record.predictions[:kept])


def _check(network: Network, task: Task, spec: TrainingSpec, members: range) -> None:
    task.check_fits(network)
    check_targets(spec.loss, task.train_targets)
    if len(members) == 0 or members.start < 0 or members.step != 1:
        raise RgflowError(f"members = {members}; a block must be a non-empty range of labels from 0 on, with step 1")
    if members.start % spec.group or members.stop % spec.group:
        raise RgflowError(f"members = {members}; a block must hold whole groups of {spec.group}")
    if spec.control_variates:  # whose means rest on the signs of the last layer
        network.require_plain("training with control variates")
    if spec.recorded_kernels:  # second moments of the preactivations, without what a skip connection adds
        network.require_plain("the kernels of hidden layers in training")
    if spec.recorded_kernels and network.depth < 2:
        raise RgflowError("kernel_steps: a network of one layer has no hidden layer")
    check_samples(spec, task.train_count, len(task.test_inputs))


def record_bytes(network: Network, task: Task, spec: TrainingSpec) -> int:
    """Return the bytes that the records of one group take in memory and in a store."""
    samples = len(task.inputs)
    ntk = (samples if spec.ntk_samples is None else len(spec.ntk_samples)) ** 2
    pairs, components = samples**2, network.widths[-1] ** 2
    steps, ntk_steps, kernel_steps = map(len, (spec.recorded, spec.recorded_ntk, spec.recorded_kernels))
    numbers = steps * pairs + ntk_steps * ntk + 2 * kernel_steps * (network.depth - 1) * pairs
    if spec.control_variates:
        numbers += components * (2 * steps * pairs + ntk_steps * ntk)
    return 8 * numbers


def _check_memory(network: Network, task: Task, spec: TrainingSpec, units: int) -> None:
    needed = 3 * units * record_bytes(network, task, spec)  # of chunks, of groups, and while they are joined
    if needed > physical_memory() / 2:
        raise TransientError(
            f"the records of this block take {needed / 2**30:.1f} GiB; use larger groups, smaller blocks or fewer recorded steps"
        )


def _groups(records: list[ChunkRecord], members: range, group: int, size: int) -> dict[str, Array]:
    """Means over the members of each group of the block, from sums over units, which are groups or chunks."""
    unit = min(group, size)
    first = members.start - members.start // size * size
    wanted = slice(first // unit, (first + len(members)) // unit)
    means = {}
    for name in records[0].sums:
        units = np.concatenate([record.sums[name] for record in records])[wanted]
        means[name] = units.reshape(-1, group // unit, *units.shape[1:]).sum(axis=1) / group
    return means


def _dataset(
    network: Network,
    task: Task,
    spec: TrainingSpec,
    members: range,
    groups: dict[str, Array],
    kept: NDArray[np.floating],
) -> xr.Dataset:
    dims = STEPPED | STARTING
    data: dict[str, Any] = {name: (("group", *dims[name]), values) for name, values in groups.items()}
    data |= _members(task, spec, kept)
    data |= {"target": (("sample", "output"), task.targets), "learning_rate": spec.rate, "group_size": spec.group}
    data |= {"last_width": network.widths[-2], "pairs": spec.antithetic}
    coords = {
        "group": np.arange(members.start // spec.group, members.stop // spec.group),
        "member": np.arange(members.start, members.start + len(kept)),
        "step": np.array(spec.recorded),
        **task.coordinates,
    }
    if spec.recorded_ntk:
        samples = np.arange(len(task.inputs)) if spec.ntk_samples is None else np.array(spec.ntk_samples)
        coords |= {"ntk_step": np.array(spec.recorded_ntk), "ntk_sample_1": samples, "ntk_sample_2": samples}
    if spec.recorded_kernels:
        coords |= {"kernel_step": np.array(spec.recorded_kernels), "layer": np.arange(2, network.depth + 1)}
    return xr.Dataset(data, coords, {"loss": spec.loss})


def _members(task: Task, spec: TrainingSpec, kept: NDArray[np.floating]) -> dict[str, Any]:
    """Outputs and losses of the single members that are kept."""
    train, test = np.split(kept, [task.train_count], axis=2)
    dims = ("member", "step")
    data: dict[str, Any] = {"prediction": ((*dims, "sample", "output"), kept)}
    data["member_train_loss"] = (dims, loss_value(spec.loss, train, task.train_targets))
    if task.test_targets is not None:
        data["member_test_loss"] = (dims, loss_value(spec.loss, test, task.test_targets))
    return data


def _theory(frozen: Frozen | None) -> dict[str, Any]:
    if frozen is None:
        return {}
    pair = ("sample_1", "sample_2")
    return {"K_output": (pair, frozen.K), "Theta_output": (pair, frozen.Theta)}
