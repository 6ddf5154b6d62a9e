"""Training at infinite width, where the NTK stays what it is: the kernel prediction at every time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rgflow.errors import RgflowError
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.losses import expected_losses
from rgflow.theory.learning.schedule import Schedule


class Spectrum(NamedTuple):
    """Eigenvalues, ascending, and eigenvectors (columns) of the train NTK."""

    theta: Array
    modes: Array


def train_spectrum(Theta: Array, train_count: int) -> Spectrum:
    """Return eigenvalues, ascending, and eigenvectors (columns) of the train block of an NTK of all samples.

    Negative eigenvalues, which can only be rounding, are set to zero: directions that are never learned.

    Raises
    ------
    RgflowError
        The train block vanishes, so nothing is ever learned.
    """
    theta, modes = np.linalg.eigh(Theta[:train_count, :train_count])
    if theta[-1] <= 0.0:
        raise RgflowError("the NTK of the train samples vanishes: nothing is learned; raise lambda_b or lambda_W")
    return Spectrum(np.maximum(theta, 0.0), modes)


def kernel_prediction(task: Task, K: Array, Theta: Array, spectrum: Spectrum, schedule: Schedule) -> dict[str, Array]:
    """Mean M_t y and covariance J_t K J_t^T of each output, J_t = 1 - M_t, with M_t = Theta_.A f_t(Theta_AA); and losses.

    Parameters
    ----------
    task
        Train samples and all targets.
    K, Theta
        Kernel and NTK of the outputs, (N, N).
    spectrum
        Of Theta_AA.
    schedule
        The training.

    Returns
    -------
    dict
        ``prediction_mean`` (time, sample, output), ``prediction_covariance`` (time, sample_1, sample_2) and losses (time),
        at every record and then at the end of training.
    """
    theta, modes = spectrum
    reach, dynamics = Theta[:, : task.train_count] @ modes, schedule.dynamics(theta)
    M = np.stack([reach * dynamics.learned_fraction(time) @ modes.T for time in (*schedule.records, np.inf)])
    J = np.eye(len(K)) - np.pad(M, ((0, 0), (0, 0), (0, len(K) - task.train_count)))
    mean, covariance = M @ task.train_targets, J @ K @ J.mT
    losses = expected_losses(task, mean, covariance)
    return {"prediction_mean": mean, "prediction_covariance": covariance, **losses}
