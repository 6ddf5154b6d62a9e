"""Bayesian inference with deep linear networks at finite width, exactly: an integral over a few scales of the weights.

Of the neurons of layer l the n_L outputs see at most n_L directions, and of the weights above them only a lower trapezoidal
matrix A_l, the factor of the Wishart matrix W W^T = A_l A_l^T. Given all A_l the outputs are Gaussian, with the covariance of the
infinite-width recursion K' = C_b + C_W K in which C_W K becomes C_W A_l K A_l^T/n_l; for one output C_W tau_l K, with tau_l a
chi^2 variable over its n_l degrees of freedom.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainccinv, gammaincinv, ndtr

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.inputs import input_gram
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.kernel import first_kernel
from rgflow.theory.learning.conditioning import check_noise, noisy_spectrum
from rgflow.theory.learning.exact_posterior import PosteriorMoments, posterior_dataset
from rgflow.theory.learning.latent_integral import posterior_expectation


@checked
def linear_posterior(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float,
) -> xr.Dataset:
    """Posterior and evidence of a deep linear network at its widths: no expansion, no sampling of networks.

    PDLT, chapters 3 and 6.

    Parameters
    ----------
    network
        Plain, with activation linear; any depth, widths, biases and number of outputs.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets
        Shape (sample, output).
    noise
        Variance s^2 of the observation noise; 0 needs an invertible kernel of the train samples in the first layer and hidden
        layers no narrower than n_L.

    Returns
    -------
    xr.Dataset
        On samples train then test (coordinate ``role``), of noiseless outputs: ``posterior_mean`` (sample, output),
        ``posterior_covariance`` (output_1, output_2, sample_1, sample_2), ``log_evidence``, and ``hidden_kernel`` (sample_1,
        sample_2), the posterior mean of C_b + C_W/n sum_j z_j z_j over the last hidden layer. Each has ``<name>_error``: the
        difference to an independent rule where the integral has up to three dimensions (about 1e-12), otherwise a standard error.
        Attributes ``dimensions`` and ``points`` of the integral: (L-1) n_L (n_L+1)/2 dimensions if n_L is the least width.

    Raises
    ------
    RgflowError
        Another activation, a residual network, data that do not fit, bad noise, or without noise a singular train kernel or a
        hidden layer narrower than the outputs.
    """
    network.require_plain("an exact posterior")
    if any(sigma.slopes != (1.0, 1.0) for sigma in network.activations):
        raise RgflowError(f"activation is {network.activation.label}; exact posteriors at any depth hold for linear")
    task = Task(train_inputs, train_targets, test_inputs)
    task.check_fits(network)
    check_noise(noise)
    problem = _Problem(network, task, noise)
    found = posterior_expectation(problem.log_likelihood, problem.moments, problem.dimensions)
    moments = _split(task, found.log_evidence, found.moments)
    errors = _split(task, found.log_evidence_error, found.moments_error)
    result = posterior_dataset(task, moments, errors)
    return result.assign_attrs(dimensions=problem.dimensions, points=found.points)


class _Scales(NamedTuple):
    """Of the k directions of one layer that reach the outputs.

    Their covariance is B (x) 1 1^T + Q (x) K^(1), B and Q of shape (point, k, k); P (point, n_L, k) takes them to the outputs.
    """

    B: Array
    Q: Array
    P: Array


class _Problem:
    """Likelihood and posterior moments as functions of the standard normal variables u that set all A_l.

    Raises
    ------
    RgflowError
        Without noise, a singular train kernel or a hidden layer narrower than the outputs.
    """

    def __init__(self, network: Network, task: Task, noise: float) -> None:
        self.network, self.noise, self.y = network, noise, task.train_targets
        self.train, self.outputs = slice(task.train_count), self.y.shape[1]
        self.K1 = first_kernel(network, input_gram(network, task.inputs))
        kappa, self.modes = noisy_spectrum(self.K1[self.train, self.train], noise)
        self.eigenvalues = np.maximum(kappa - noise, 0.0)
        self.ranks = [min(network.widths[layer:]) for layer in range(1, network.depth + 1)]
        if noise == 0.0 and self.ranks[0] < self.outputs:
            raise RgflowError(
                f"widths = {network.widths}: without noise no hidden layer may be narrower than the outputs"
            )

    @property
    def dimensions(self) -> int:
        """Entries of all A_l on and below their diagonals."""
        return sum(len(rows) for rows, _ in map(_trapezoid, self.ranks[1:], self.ranks))

    def log_likelihood(self, u: Array) -> Array:
        """log N(y; 0, B (x) 1 1^T + Q (x) K1 + noise), in the eigenbases of Q and K1, where B is an update of rank n_L."""
        B, Q, _ = self._scales(u)[-1]
        q, R = np.linalg.eigh(Q)
        ones, B = self.modes.sum(axis=0), R.mT @ B @ R
        y = np.einsum("pik,ai->pka", R, self.modes.T @ self.y)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # weights that vanish: a likelihood of 0
            D = q[..., None] * self.eigenvalues + self.noise
            s, t = np.sum(ones**2 / D, axis=-1), np.sum(ones * y / D, axis=-1)
            update = np.eye(self.outputs) + B * s[:, None, :]
            fit = np.sum(y**2 / D, axis=(1, 2)) - np.sum(t * np.linalg.solve(update, B @ t[..., None])[..., 0], axis=1)
            log_det = np.sum(np.log(2 * np.pi * D), axis=(1, 2)) + np.linalg.slogdet(update)[1]
        return np.asarray(np.nan_to_num(-(fit + log_det) / 2, nan=-np.inf))

    def moments(self, u: Array) -> Array:
        """Mean and second moments of the outputs, and the hidden kernel, all given y and u: (point, number)."""
        layers = self._scales(u)
        precision = np.asarray(np.linalg.inv(self._noisy_covariance(layers[-1])), dtype=np.float64)
        mean, gain, cross = self._conditioned(layers[-1], precision)
        second = self._covariance(layers[-1]) - gain @ cross.mT + mean[:, :, None] * mean[:, None, :]
        return np.concatenate(
            [part.reshape(len(u), -1) for part in (mean, second, self._hidden(layers, precision))], axis=1
        )

    def _hidden(self, layers: list[_Scales], precision: Array) -> Array:
        """E[G^(L) | y, u] layer by layer: of n_l neurons those directions that reach the outputs know of y.

        G^(l+1) = C_b + C_W/n_l [sum_k E(h_k h_k^T | y) + (n_l - k) G^(l)], h the k directions of layer l.
        """
        G = np.broadcast_to(self.K1, (len(precision), *self.K1.shape))
        for layer, scales in enumerate(layers[:-1], start=1):
            C_b, C_W, n = self.network.C_b[layer], self.network.C_W[layer], self.network.widths[layer]
            directions = scales.B.shape[-1]
            G = C_b + C_W / n * (self._summed_square(scales, precision) + (n - directions) * G)
        return G

    def _summed_square(self, scales: _Scales, precision: Array) -> Array:
        """sum_k E[h_k h_k^T | y, u] over the directions of a layer: (point, sample, sample)."""
        points, directions, N = len(precision), scales.B.shape[-1], len(self.K1)
        mean, gain, cross = self._conditioned(scales, precision)
        mean, gain, cross = (part.reshape(points, directions, N, -1) for part in (mean, gain, cross))
        trace_B, trace_Q = (np.trace(part, axis1=1, axis2=2)[:, None, None] for part in (scales.B, scales.Q))
        explained = np.sum(gain @ cross.mT - mean @ mean.mT, axis=1)
        return np.asarray(trace_B + trace_Q * self.K1 - explained)

    def _conditioned(self, scales: _Scales, precision: Array) -> tuple[Array, Array, Array]:
        """Posterior mean of a layer's directions, gain, and covariance with the targets: (point, direction sample[, train])."""
        cross = _product(scales.B @ scales.P.mT, scales.Q @ scales.P.mT, self.K1[:, self.train])
        gain = cross @ precision
        return gain @ self.y.T.reshape(-1), gain, cross

    def _covariance(self, scales: _Scales) -> Array:
        return _product(scales.B, scales.Q, self.K1)

    def _noisy_covariance(self, scales: _Scales) -> Array:
        covariance = _product(scales.B, scales.Q, self.K1[self.train, self.train])
        return np.asarray(covariance + self.noise * np.eye(covariance.shape[-1]))

    def _scales(self, u: Array) -> list[_Scales]:
        """B, Q and P of all layers: up B' = C_b + C_W A B A^T/n, Q' = C_W A Q A^T/n, and down P = sqrt(C_W/n) P' A."""
        factors = self._factors(u)
        B, Q, P = [_unit(len(u), self.ranks[0]) * 0.0], [_unit(len(u), self.ranks[0])], [_unit(len(u), self.outputs)]
        for layer, A in enumerate(factors, start=1):
            B.append(self.network.C_b[layer] * np.eye(A.shape[1]) + A @ B[-1] @ A.mT)
            Q.append(A @ Q[-1] @ A.mT)
        for A in reversed(factors):
            P.insert(0, P[0] @ A)
        return list(map(_Scales, B, Q, P))

    def _factors(self, u: Array) -> list[Array]:
        """sqrt(C_W/n_l) A_l of the layers l = 1..L-1: chi variables on the diagonal, normal ones below it."""
        factors, start = [], 0
        for layer, (columns, rows) in enumerate(pairwise(self.ranks), start=1):
            below = _trapezoid(rows, columns)
            own = u[:, start : (start := start + len(below[0]))]
            freedom = self.network.widths[layer] - below[0]
            A = np.zeros((len(u), rows, columns))
            A[:, below[0], below[1]] = np.where(below[0] == below[1], np.sqrt(_chi_squared(own, freedom)), own)
            factors.append(np.sqrt(self.network.C_W[layer] / self.network.widths[layer]) * A)
        return factors


def _trapezoid(rows: int, columns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of the entries on and below the diagonal."""
    return np.tril_indices(rows, 0, columns)


def _unit(points: int, size: int) -> Array:
    return np.broadcast_to(np.eye(size), (points, size, size))


def _chi_squared(u: Array, freedom: NDArray[np.intp]) -> Array:
    """The chi^2 variable that has the same quantile as the standard normal u, from the nearer tail."""
    tail, half = ndtr(-np.abs(u)), freedom / 2
    return np.asarray(2.0 * np.where(u < 0, gammaincinv(half, tail), gammainccinv(half, tail)))


def _product(B: Array, Q: Array, K: Array) -> Array:
    """B (x) 1 1^T + Q (x) K over the rows and columns of the kernel K: (point, k rows, k' columns)."""
    blocks = B[:, :, None, :, None] + Q[:, :, None, :, None] * K[:, None, :]
    return blocks.reshape(len(B), B.shape[1] * K.shape[0], B.shape[2] * K.shape[1])


def _split(task: Task, log_evidence: float, numbers: Array) -> PosteriorMoments:
    """The numbers of ``_Problem.moments``, named."""
    N, m = len(task.inputs), task.train_targets.shape[1]
    mean, second, hidden = np.split(numbers, np.cumsum([m * N, (m * N) ** 2]))
    kernels = {"hidden_kernel": hidden.reshape(N, N)}
    return PosteriorMoments(np.asarray(log_evidence), mean.reshape(m, N), second.reshape(m, N, m, N), kernels)
