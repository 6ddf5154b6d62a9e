"""Posteriors drawn in blocks of islands."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.calls import checked
from rgflow.compute.machine import find_device, one_thread
from rgflow.compute.tasks import map_tasks
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.posterior.combine import combine_posterior
from rgflow.posterior.memory import check_memory
from rgflow.posterior.particles import log_mean_exp
from rgflow.posterior.predict import mean_kernel, output_moments
from rgflow.posterior.problem import Problem
from rgflow.posterior.spec import (
    FEWEST_ISLANDS,
    MOST_ISLANDS,
    Dtype,
    Inference,
    TemperingSchedule,
    check_count,
    check_problem,
)
from rgflow.posterior.tempering import run_island, run_pilot
from rgflow.task import Task

Progress = Callable[[int, int], None]


@checked
def sample_posterior(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float,
    islands: int = 32,
    particles: int = 256,
    seed: int,
    dtype: Dtype = "float64",
    device: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Condition networks of finite width on train data, without any expansion in 1/n (PDLT, chapter 6).

    The prior is the ensemble at initialization; a train target is an output plus Gaussian noise. The last layer is
    integrated out, the hidden layers are sampled by tempered sequential Monte Carlo in independent islands, and all
    errors are jackknife errors over islands.

    Parameters
    ----------
    network
        The network, at its actual widths, with at least one hidden layer.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets
        Shape (sample, output).
    noise
        Variance s^2 of the observation noise; 0 needs hidden widths of at least the number of train samples.
    islands
        Independent runs, whose spread gives the errors; more islands only add.
    particles
        Networks in an island; more of them where warnings ask for it.
    seed, dtype
        See :class:`rgflow.posterior.spec.Inference`.
    device
        "auto", "cpu" or "cuda". Draws differ between the two.
    workers, cluster
        See :func:`rgflow.compute.tasks.map_tasks`. The result does not depend on them.
    progress
        Called with (done, total) islands.

    Returns
    -------
    xr.Dataset
        As of :func:`rgflow.posterior.combine.combine_posterior`.

    Raises
    ------
    RgflowError
        Data that do not fit the network, a setting out of range, noise 0 where the likelihood is unbounded, or memory
        that does not suffice.
    """
    task = Task(train_inputs, train_targets, test_inputs)
    inference = Inference(noise, particles, seed, dtype)
    labels = range(check_count("islands", islands, FEWEST_ISLANDS, MOST_ISLANDS))
    schedule = pilot(network, task, inference, device=device)
    block = sample_posterior_block(
        network,
        task,
        inference,
        schedule,
        labels,
        device=device,
        workers=workers,
        cluster=cluster,
        progress=progress,
    )
    return combine_posterior([block])


def pilot(
    network: Network, task: Task, inference: Inference, *, device: str = "auto", memory: float | None = None
) -> xr.Dataset:
    """Find the stages that all islands follow, with particles that are used for nothing else.

    Parameters
    ----------
    network, task, inference
        What is conditioned on what, and how.
    device
        "auto", "cpu" or "cuda".
    memory
        Bytes that this process may use; None: all of the machine.

    Returns
    -------
    xr.Dataset
        On ``stage``: ``beta`` and ``step`` of the schedule, ``ess`` and ``acceptance`` seen on the way (of the last stage
        not a number: it moves nothing). Attributes tell the posterior.

    Raises
    ------
    RgflowError
        As :func:`sample_posterior`.
    """
    problem = _problem(network, task, inference, device, memory)
    with one_thread(), torch.no_grad():
        schedule, island = run_pilot(problem)
    beta, step = zip(*schedule.stages, strict=True)
    records = {"beta": beta, "step": step, "ess": island.ess, "acceptance": [*island.acceptance, math.nan]}
    data = {name: ("stage", np.array(values, dtype=np.float64)) for name, values in records.items()}
    return xr.Dataset(data, {"stage": np.arange(len(beta))}, problem.identity())


def sample_posterior_block(
    network: Network,
    task: Task,
    inference: Inference,
    schedule: xr.Dataset,
    islands: range,
    *,
    device: str = "auto",
    workers: int = 1,
    cluster: str | None = None,
    memory: float | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Draw some islands of a posterior, on any number of workers; any split gives the same bits.

    Parameters
    ----------
    network, task, inference
        What is conditioned on what, and how.
    schedule
        Of :func:`pilot`, for the same posterior.
    islands
        Labels of the islands, from 0 on.
    device, workers, cluster, progress
        As for :func:`sample_posterior`.
    memory
        Bytes that each worker may use; None: all of its machine.

    Returns
    -------
    xr.Dataset
        On ``island``: ``island_log_evidence``, the moments ``island_mean`` (sample, output), ``island_second`` (output_1,
        output_2, sample_1, sample_2) of the outputs, ``island_kernel`` and ``island_prior_kernel`` (sample_1, sample_2) of
        the last hidden layer, log means of w and w^2 over prior draws ``island_log_weight`` (power), ``island_ess`` and
        ``island_acceptance`` (stage); ``beta`` and ``step`` (stage). Attributes tell the posterior.

    Raises
    ------
    RgflowError
        As :func:`sample_posterior`; a schedule of another posterior, or labels that are not such a range.
    """
    if len(islands) == 0 or islands.start < 0 or islands.step != 1:
        raise RgflowError(f"islands = {islands}; a block must be a non-empty range of labels from 0 on, with step 1")
    problem = _problem(network, task, inference, device, memory, blocks=len(islands))
    if schedule.attrs != problem.identity():
        raise RgflowError("schedule: the pilot is of another network, other data, settings or device")
    run = partial(_island, network, task, inference, TemperingSchedule.of(schedule), device)
    records = dict(map_tasks(run, islands, workers, cluster, progress))
    return _labelled([records[position] for position in range(len(islands))], task, islands, schedule)


def _problem(
    network: Network, task: Task, inference: Inference, device: str, memory: float | None, blocks: int = 0
) -> Problem:
    check_problem(network, task, inference.noise)
    problem = Problem(network, task, inference, find_device(device))
    check_memory(problem, memory, blocks)
    return problem


def _island(
    network: Network, task: Task, inference: Inference, schedule: TemperingSchedule, device: str, label: int
) -> dict[str, Any]:
    """The moments of an island."""
    problem = Problem(network, task, inference, find_device(device))
    with one_thread(), torch.no_grad():
        prior, island = run_island(problem, schedule, label)
        found = output_moments(problem, island.particles.u, torch.softmax(island.log_weights, 0), label)
        tensors = {
            "mean": found.mean,
            "second": found.second,
            "kernel": found.kernel,
            "prior_kernel": mean_kernel(problem, prior.u, label),
        }
    log_weight = prior.log_weight
    record: dict[str, Any] = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    record |= {"log_evidence": island.log_evidence, "ess": island.ess, "acceptance": [*island.acceptance, math.nan]}
    record |= {"log_weight": [log_mean_exp(log_weight), log_mean_exp(2.0 * log_weight)]}
    _require_finite(record, label)
    return record


def _require_finite(record: dict[str, Any], label: int) -> None:
    for name in ("mean", "second", "kernel", "prior_kernel"):
        if not np.isfinite(record[name]).all():
            raise RgflowError(f"{name} is not finite in island {label} of the sampled posterior")


_DIMS = {
    "log_evidence": (),
    "mean": ("sample", "output"),
    "second": ("output_1", "output_2", "sample_1", "sample_2"),
    "kernel": ("sample_1", "sample_2"),
    "prior_kernel": ("sample_1", "sample_2"),
    "log_weight": ("power",),
    "ess": ("stage",),
    "acceptance": ("stage",),
}


def _labelled(records: list[dict[str, Any]], task: Task, islands: range, schedule: xr.Dataset) -> xr.Dataset:
    data: dict[str, Any] = {
        f"island_{name}": (("island", *dims), np.array([record[name] for record in records], dtype=np.float64))
        for name, dims in _DIMS.items()
    }
    coords = {"island": np.array(islands), "stage": schedule.stage.values, "power": [1, 2], **task.coordinates}
    block = xr.Dataset(data, coords).assign(schedule[["beta", "step"]].variables)
    return block.assign_attrs(schedule.attrs, schedule=TemperingSchedule.of(schedule).to_json())
