"""Training at order 1/n: mean, covariance and mean NTK at every time, from the tensors of the output layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.dynamics import Dynamics, Kernels
from rgflow.theory.learning.eigenbasis import Eigenbasis
from rgflow.theory.learning.losses import expected_losses1
from rgflow.theory.learning.parts import Part, all_parts, frozen_covariance, remembered_covariance
from rgflow.theory.learning.record import PARTS_SUFFIX
from rgflow.theory.learning.schedule import Schedule
from rgflow.theory.learning.statistics import OutputTensors, RowStatistics, row_statistics
from rgflow.theory.learning.triples import Coupling


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
    for kernels in chain(dynamics.kernels(times, test_count(basis)), [dynamics.limit(test_count(basis))]):
        yield moment(row, basis, kernels)


def moment(row: RowStatistics, basis: Eigenbasis, kernels: Kernels) -> Moment:
    """Order 1/n at the time of the kernels."""
    at_t = all_parts(row, kernels)
    mean = np.stack([basis.samples @ part.response @ row.moment.y.T for part in at_t])
    ntk = np.stack([part.ntk.dense(basis.samples) for part in at_t])
    return Moment(mean, _covariance(row, basis, (at_t, kernels), (at_t, kernels)), ntk)


def two_time_covariance(row: RowStatistics, basis: Eigenbasis, kernels_1: Kernels, kernels_2: Kernels) -> Array:
    """Coefficient of 1/n of Cov(z_i1(t), z_j2(t')) of one network at two times.

    Returns
    -------
    Array
        (part, output_1, output_2, sample_1, sample_2); the first sample and output at the time of ``kernels_1``.
    """
    return _covariance(row, basis, (all_parts(row, kernels_1), kernels_1), (all_parts(row, kernels_2), kernels_2))


def test_count(basis: Eigenbasis) -> int:
    """Number of test samples."""
    return len(basis.rows) - len(basis.theta)


def _covariance(
    row: RowStatistics,
    basis: Eigenbasis,
    first: tuple[tuple[Part, ...], Kernels],
    second: tuple[tuple[Part, ...], Kernels],
) -> Array:
    (parts_1, k_1), (parts_2, k_2) = first, second
    by_part: list[Coupling] = [
        remembered_covariance(part_1, k_1, part_2, k_2) for part_1, part_2 in zip(parts_1, parts_2, strict=True)
    ]
    by_part[0] += frozen_covariance(row, k_1, k_2)
    return np.stack([coupling.dense(basis.samples) for coupling in by_part])
