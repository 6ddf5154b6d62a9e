"""Expected losses 1/2 sum (z - y)^2, split into squared bias and variance, at leading order and at order 1/n."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array

Losses = dict[str, Array]


def expected_losses(task: Task, mean: Array, covariance: Array) -> Losses:
    """Losses at infinite width: bias^2 = 1/2 sum (m - y)^2 and variance = n_L/2 tr C, summed over the samples of a role.

    Parameters
    ----------
    task
        Targets; test losses need test targets.
    mean
        (..., sample, output).
    covariance
        (..., sample_1, sample_2) of every output component.

    Returns
    -------
    dict
        ``train_bias``, ``train_variance``, ``train_loss`` and the same of test samples, each (...).
    """
    variance = 0.5 * mean.shape[-1] * np.diagonal(covariance, axis1=-2, axis2=-1)
    return _by_role(task, lambda at, y: (0.5 * (mean[..., at, :] - y) ** 2, variance[..., at]), "")


def expected_losses1(task: Task, mean: Array, mean1: Array, covariance1: Array) -> Losses:
    """Coefficients of 1/n: bias^2 sum (m - y) m1 and variance 1/2 sum_i C1_ii, summed over the samples of a role.

    Parameters
    ----------
    task
        Targets; test losses need test targets.
    mean, mean1
        (..., sample, output), leading order and coefficient of 1/n.
    covariance1
        (..., output_1, output_2, sample_1, sample_2).

    Returns
    -------
    dict
        ``train_bias1``, ``train_variance1``, ``train_loss1`` and the same of test samples, each (...).
    """
    variance = 0.5 * np.einsum("...iiaa->...a", covariance1)
    return _by_role(task, lambda at, y: ((mean[..., at, :] - y) * mean1[..., at, :], variance[..., at]), "1")


def _by_role(task: Task, bias_and_variance: Callable[[slice, Array], tuple[Array, Array]], suffix: str) -> Losses:
    roles = {"train": (slice(None, task.train_count), task.train_targets)}
    if task.test_targets is not None:
        roles["test"] = (slice(task.train_count, None), task.test_targets)
    losses: Losses = {}
    for role, (at, targets) in roles.items():
        bias, variance = bias_and_variance(at, targets)
        bias, variance = bias.sum(axis=(-2, -1)), variance.sum(axis=-1)
        losses |= {f"{role}_bias{suffix}": bias, f"{role}_variance{suffix}": variance}
        losses[f"{role}_loss{suffix}"] = bias + variance
    return losses
