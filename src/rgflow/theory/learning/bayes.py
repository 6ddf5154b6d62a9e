"""Bayesian inference with infinitely wide networks: the output kernel conditioned on the train data."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.output import output_kernels


def bayes_theory(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float = 0.0,
) -> xr.Dataset:
    """Condition infinitely wide networks on train data.

    The prior of the outputs is Gaussian with the output kernel K, independent over the n_L components; a train target
    is the output plus Gaussian noise. With K~ = K_AA + noise and M = K_{.A} K~^{-1} on the train set A:

    * posterior mean M y, posterior covariance K - M K_{A.} of each component,
    * log evidence -1/2 sum_i y_i^T K~^{-1} y_i - n_L/2 log det(2 pi K~), a term for the fit and an Occam penalty,
    * the scale c* = sum_i y_i^T K~^{-1} y_i / (n_L N_A) by which K~ -> c K~ has the largest evidence.

    Parameters
    ----------
    network
        The network; only depth, activation, C_b and C_W matter.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets
        Shape (sample, output).
    noise
        Variance s^2 of the observation noise; 0 needs an invertible train kernel.

    Returns
    -------
    xr.Dataset
        On samples train then test (coordinate ``role``): ``posterior_mean`` (sample, output), ``posterior_covariance``
        (sample_1, sample_2) of noiseless outputs, ``K_output`` (sample_1, sample_2); scalars ``log_evidence`` =
        ``evidence_fit`` + ``evidence_occam`` and ``optimal_scale``.

    Raises
    ------
    RgflowError
        Data that do not fit the network, negative noise, or a train kernel plus noise that is singular.
    """
    task = Task(train_inputs, train_targets, test_inputs)
    task.check_fits(network)
    if not (math.isfinite(noise) and noise >= 0.0):
        raise RgflowError(f"noise = {noise}; it is a variance and must be finite and not negative")
    K, _ = output_kernels(network, task.inputs)
    return condition(K, task, noise)


def condition(K: Array, task: Task, noise: float) -> xr.Dataset:
    """Condition the Gaussian prior with covariance K of all samples on the train targets, as ``bayes_theory`` does."""
    kappa, modes = noisy_spectrum(K[: task.train_count, : task.train_count], noise)
    M = K[:, : task.train_count] @ (modes / kappa) @ modes.T
    unit_fit = np.sum((modes.T @ task.train_targets) ** 2 / kappa[:, None])
    outputs = task.train_targets.shape[1]
    fit = -0.5 * unit_fit
    occam = -0.5 * outputs * np.log(2.0 * np.pi * kappa).sum()
    return xr.Dataset(
        {
            "posterior_mean": (("sample", "output"), M @ task.train_targets),
            "posterior_covariance": (("sample_1", "sample_2"), _posterior_covariance(K, M, noise)),
            "K_output": (("sample_1", "sample_2"), K),
            "log_evidence": fit + occam,
            "evidence_fit": fit,
            "evidence_occam": occam,
            "optimal_scale": unit_fit / (outputs * task.train_count),
        },
        task.coordinates,
    )


def noisy_spectrum(K_train: Array, noise: float) -> tuple[Array, Array]:
    """Return eigenvalues, ascending, and eigenvectors (columns) of K~ = K_AA + noise.

    Raises
    ------
    RgflowError
        K~ is singular within rounding.
    """
    kappa, modes = np.linalg.eigh(K_train)
    kappa = kappa + noise
    if kappa[0] <= len(kappa) * np.finfo(kappa.dtype).eps * kappa[-1]:
        raise RgflowError(
            f"the train kernel plus noise is singular (eigenvalues {kappa[0]:.2g} to {kappa[-1]:.2g}): "
            "drop repeated or parallel inputs, or give noise > 0"
        )
    return kappa, modes


def _posterior_covariance(K: Array, M: Array, noise: float) -> Array:
    """Return K - M K_{A.} as J K J^T + noise M M^T, J = 1 - M: with a root of K, so that no rounding makes it negative."""
    kappa, modes = np.linalg.eigh(K)
    root = modes * np.sqrt(np.maximum(kappa, 0.0))
    root -= M @ root[: M.shape[1]]
    return np.asarray(root @ root.T + noise * M @ M.T)
