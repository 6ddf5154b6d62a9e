"""Training at order 1/n: mean, covariance and mean NTK at every time, from the tensors of the output layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.dynamics import Dynamics, KernelsInTime
from rgflow.theory.learning.eigenbasis import Eigenbasis
from rgflow.theory.learning.losses import expected_losses1
from rgflow.theory.learning.parts import Part, all_parts, frozen_covariance, remembered_covariance
from rgflow.theory.learning.record import PARTS_SUFFIX
from rgflow.theory.learning.schedule import Schedule
from rgflow.theory.learning.statistics import OutputTensors, RowStatistics, row_statistics


class State(NamedTuple):
    """The kernels at one time and what they make of the statistics."""

    kernels: KernelsInTime
    parts: tuple[Part, ...]


class Moment(NamedTuple):
    """Coefficients of 1/n at one time, by part: frozen NTK, dNTK, ddNTK; samples train then test."""

    mean: Array
    """(part, sample, output)."""
    covariance: Array
    """(part, output_1, output_2, sample_1, sample_2)."""
    NTK: Array
    """E[H(t)] - Theta, (part, output_1, output_2, sample_1, sample_2)."""


def next_order(
    task: Task, schedule: Schedule, basis: Eigenbasis, tensors: OutputTensors, mean: Array
) -> dict[str, Array]:
    """Coefficients of 1/n at every record and at the end of training.

    Parameters
    ----------
    task, schedule
        What is trained, and how.
    basis
        The eigenbasis of the NTK.
    tensors
        Tensors of the output layer.
    mean
        Infinite-width mean at the same times, (time, sample, output).

    Returns
    -------
    dict
        ``prediction_mean1``, ``prediction_covariance1``, ``NTK1``, each also with ``_parts``, and the losses of
        ``expected_losses1``. Time is the first axis.
    """
    row = row_statistics(tensors, basis, task.train_targets)
    at_times = list(moments(row, basis, schedule.dynamics(basis.theta), schedule.records))
    fields = {"prediction_mean1": "mean", "prediction_covariance1": "covariance", "NTK1": "NTK"}
    by_part = {name: np.stack([getattr(at, field) for at in at_times]) for name, field in fields.items()}
    total = {name: value.sum(axis=1) for name, value in by_part.items()}
    losses = expected_losses1(task, mean, total["prediction_mean1"], total["prediction_covariance1"])
    return {**total, **losses, **{f"{name}{PARTS_SUFFIX}": value for name, value in by_part.items()}}


def moments(row: RowStatistics, basis: Eigenbasis, dynamics: Dynamics, times: Sequence[float]) -> Iterator[Moment]:
    """Order 1/n at increasing times and then at the end of training.

    Parameters
    ----------
    row
        Statistics at initialization in the eigenbasis.
    basis
        The eigenbasis.
    dynamics
        How the modes move.
    times
        Numbers of steps, or times of gradient flow.
    """
    for kernels in chain(dynamics.kernels(times, basis.test_count), [dynamics.limit(basis.test_count)]):
        yield moment(row, basis, State(kernels, all_parts(row, kernels)))


def moment(row: RowStatistics, basis: Eigenbasis, at: State) -> Moment:
    """Order 1/n at one time."""
    mean = np.stack([basis.samples @ part.response @ row.moment.y.T for part in at.parts])
    ntk = np.stack([part.ntk.dense(basis.samples) for part in at.parts])
    return Moment(mean, covariance_in_time(row, basis, at, at), ntk)


def covariance_in_time(row: RowStatistics, basis: Eigenbasis, first: State, second: State) -> Array:
    """Coefficient of 1/n of Cov(z_i1(t), z_j2(t')) of one network at two times, which may be equal.

    Returns
    -------
    Array
        (part, output_1, output_2, sample_1, sample_2); the first output and sample at the first time.
    """
    by_part = [
        remembered_covariance(part_1, first.kernels, part_2, second.kernels)
        for part_1, part_2 in zip(first.parts, second.parts, strict=True)
    ]
    by_part[0] += frozen_covariance(row, first.kernels, second.kernels)
    return np.stack([coupling.dense(basis.samples) for coupling in by_part])
