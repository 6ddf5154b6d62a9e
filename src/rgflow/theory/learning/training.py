"""Gradient descent at infinite width: the kernel prediction for every recorded step.

With the sum loss 1/2 sum (z - y)^2 and a full-batch step of learning rate eta, outputs move in the frozen NTK as
z(t+1) = z(t) - eta Theta_{.A} (z_A(t) - y_A), whose solution needs only the spectrum of Theta on the train set A.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task, recorded_steps
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.output import output_kernels


def training_theory(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    steps: Sequence[int],
    step_fraction: float = 0.5,
    test_targets: ArrayLike | None = None,
) -> xr.Dataset:
    """Predict the training of infinitely wide networks by full-batch gradient descent on the sum loss.

    Parameters
    ----------
    network
        The network; only its depth, activation and hyperparameters matter, not the hidden widths.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets, test_targets
        Shape (sample, output); test targets add the test loss.
    steps
        Recorded steps, strictly increasing from 0.
    step_fraction
        Learning rate in units of the stability limit 2 / theta_max, between 0 and 1; see ``step_size``.

    Returns
    -------
    xr.Dataset
        On samples train then test (coordinate ``role``): ``prediction_mean`` (step, sample, output) = M_t y,
        ``prediction_covariance`` (step, sample_1, sample_2) of each output component = J_t K J_t^T with J_t = 1 - M_t,
        ``kernel_mean_limit`` (sample, output), the mean at t -> infinity; expected ``train_loss`` and ``test_loss``
        (step), summed over samples, bias^2 + variance; ``K_output`` and ``Theta_output`` (sample_1, sample_2);
        ``theta_eigenvalue`` (mode) of the train NTK, ascending; scalars ``theta_max`` and ``learning_rate``.

    Raises
    ------
    RgflowError
        Data that do not fit the network, steps or a step fraction out of range, a vanishing or non-finite kernel.
    """
    task = Task(train_inputs, train_targets, test_inputs, test_targets)
    task.check_fits(network)
    steps = recorded_steps(steps)
    K, Theta = output_kernels(network, task.inputs)
    theta, modes = train_spectrum(Theta, task.train_count)
    eta = step_size(theta[-1], step_fraction)
    reach = Theta[:, : task.train_count] @ modes
    propagator = np.stack([reach * learned_fraction(theta, eta, step) @ modes.T for step in steps])
    limit = reach * _inverse(theta) @ modes.T @ task.train_targets
    return _dataset(task, steps, propagator, limit, K).assign(
        K_output=(("sample_1", "sample_2"), K),
        Theta_output=(("sample_1", "sample_2"), Theta),
        theta_eigenvalue=("mode", theta),
        theta_max=theta[-1],
        learning_rate=eta,
    )


def learning_rate(network: Network, train_inputs: ArrayLike, step_fraction: float) -> float:
    """Return the learning rate of ``training_theory``, eta = step_fraction * 2 / theta_max to six digits.

    Parameters
    ----------
    network
        As for ``training_theory``.
    train_inputs
        Shape (sample, feature).
    step_fraction
        Learning rate in units of the stability limit, between 0 and 1.

    Raises
    ------
    RgflowError
        A step fraction out of range, a vanishing or non-finite kernel.
    """
    _, Theta = output_kernels(network, np.asarray(train_inputs, dtype=np.float64))
    theta, _ = train_spectrum(Theta, len(Theta))
    return step_size(theta[-1], step_fraction)


def step_size(theta_max: float, step_fraction: float) -> float:
    """Return eta = step_fraction * 2 / theta_max, rounded to six digits so that it does not follow theory's last bits."""
    if not 0 < step_fraction < 1:
        raise RgflowError(f"step_fraction = {step_fraction}; it must lie between 0 and 1, the stability limit")
    return float(f"{step_fraction * 2.0 / theta_max:.6g}")


def train_spectrum(Theta: Array, train_count: int) -> tuple[Array, Array]:
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
    return np.maximum(theta, 0.0), modes


def learned_fraction(theta: Array, eta: float, step: int) -> Array:
    """Return f_t(theta) = [1 - (1 - eta theta)^t] / theta, accurate also for small eta theta t, where it is eta t."""
    x = eta * theta
    small = x < 0.5
    f = np.full_like(theta, eta * step)
    slow = small & (x > 0)
    f[slow] = -np.expm1(step * np.log1p(-x[slow])) / theta[slow]
    f[~small] = (1.0 - (1.0 - x[~small]) ** step) / theta[~small]
    return f


def _inverse(theta: Array) -> Array:
    """Return 1 / theta, and 0 for modes that are zero within rounding."""
    inverse = np.zeros_like(theta)
    np.divide(1.0, theta, out=inverse, where=theta > len(theta) * np.finfo(theta.dtype).eps * theta[-1])
    return inverse


def _dataset(task: Task, steps: tuple[int, ...], propagator: Array, limit: Array, K: Array) -> xr.Dataset:
    """Mean, covariance and losses from M_t, shape (step, sample, train sample)."""
    mean = propagator @ task.train_targets
    deviation = np.eye(len(K)) - np.pad(propagator, ((0, 0), (0, 0), (0, len(K) - task.train_count)))
    covariance = deviation @ K @ deviation.mT
    train, test = slice(None, task.train_count), slice(task.train_count, None)
    losses = {"train_loss": ("step", expected_loss(mean[:, train], covariance[:, train, train], task.train_targets))}
    if task.test_targets is not None:
        losses["test_loss"] = ("step", expected_loss(mean[:, test], covariance[:, test, test], task.test_targets))
    return xr.Dataset(
        {
            "prediction_mean": (("step", "sample", "output"), mean),
            "prediction_covariance": (("step", "sample_1", "sample_2"), covariance),
            "kernel_mean_limit": (("sample", "output"), limit),
            **losses,
        },
        {"step": np.array(steps), **task.coordinates},
    )


def expected_loss(mean: Array, covariance: Array, targets: Array) -> Array:
    """Return E[1/2 sum (z - y)^2] = 1/2 sum (m - y)^2 + n_L/2 tr Cov for each step."""
    bias = 0.5 * ((mean - targets) ** 2).sum(axis=(-2, -1))
    variance = 0.5 * targets.shape[-1] * np.trace(covariance, axis1=-2, axis2=-1)
    return np.asarray(bias + variance)
