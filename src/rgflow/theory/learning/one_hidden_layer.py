"""Bayesian inference with one hidden layer at finite width, exactly: for any activation, but few targets.

The characteristic function of the noisy targets factorizes over the n neurons. With wave numbers k_ia (output i, train sample a)

    E exp(i k y) = exp(-C_b sum_i (sum_a k_ia)^2/2 - s^2 k^2/2) <E>^n,   E = exp(-C_W sum_i (sum_a k_ia sigma_a)^2/(2n)),

where <...> averages over one neuron. Its derivatives bring the outputs of any sample down, as averages <sigma_a sigma_b E>.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import trapezoid_rule
from rgflow.inputs import input_gram
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.kernel import first_kernel
from rgflow.theory.learning.conditioning import check_noise
from rgflow.theory.learning.exact_posterior import PosteriorMoments, posterior_dataset
from rgflow.theory.learning.neuron_nodes import REACH, neuron_nodes

_MAX_TARGETS = 2
_FINENESS = (1.0, 1.6)
_AGREE = 1e-10
_AT_ONCE = 2**22


@checked
def one_hidden_layer_posterior(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float,
) -> xr.Dataset:
    """Posterior and evidence of a network with one hidden layer at its width, from the characteristic function of one neuron.

    PDLT, chapter 6.

    Parameters
    ----------
    network
        Plain, depth 2; any width and activation.
    train_inputs, test_inputs
        Shape (sample, feature). Together with the first layer's biases all samples may span two dimensions, or one if the
        activation has kinks and is not scale-invariant.
    train_targets
        Shape (sample, output), at most two numbers.
    noise
        Variance s^2 > 0 of the observation noise, without which the Fourier integral converges too slowly.

    Returns
    -------
    xr.Dataset
        As of :func:`rgflow.theory.learning.linear_posterior.linear_posterior`, and ``preactivation_kernel`` (sample_1, sample_2),
        the posterior mean of z_j z_j in the hidden layer. ``<name>_error`` is the difference to other, coarser nodes.

    Raises
    ------
    RgflowError
        Another depth, a residual network, more targets or dimensions than allowed, noise that is not positive.
    """
    network.require_plain("an exact posterior")
    if network.depth != 2:
        raise RgflowError(f"depth = {network.depth}; this posterior is known for one hidden layer, depth 2")
    task = Task(train_inputs, train_targets, test_inputs)
    task.check_fits(network)
    check_noise(noise)
    if noise == 0.0:
        raise RgflowError("noise = 0; the exact posterior of one hidden layer needs noise > 0")
    if task.train_targets.size > _MAX_TARGETS:
        raise RgflowError(f"there are {task.train_targets.size} target numbers; allowed: {_MAX_TARGETS}")
    return posterior_dataset(task, *_converged(_Problem(network, task, noise)))


class _Problem(NamedTuple):
    """Network, data and noise."""

    network: Network
    task: Task
    noise: float

    @property
    def layer(self) -> tuple[int, float, float]:
        """n, C_b and C_W of the output layer."""
        return self.network.widths[1], self.network.C_b[1], self.network.C_W[1]

    @property
    def targets(self) -> Array:
        """(output, train), as the wave numbers."""
        return self.task.train_targets.T


class _Neuron(NamedTuple):
    """One neuron at all samples: preactivations and activations (sample, node), and the weights of the nodes."""

    z: Array
    sigma: Array
    weight: Array


class _Tilted(NamedTuple):
    """For every k log <E>, and averages with the weight E/<E>.

    <sigma sigma> and <z z> are (k, sample, sample), <sigma sigma sigma_A sigma_A> (k, sample, sample, train, train).
    """

    log_mean: Array
    ss: Array
    zz: Array
    ssss: Array


def _converged(problem: _Problem) -> tuple[PosteriorMoments, PosteriorMoments]:
    """Moments of the first fineness that agrees with coarser, shifted nodes, and the differences."""
    for fineness in _FINENESS:
        found, control = _posterior(problem, 1.3 * fineness, 0.5), _posterior(problem, fineness, 0.0)
        errors = _difference(found, control)
        if max(float(np.max(error)) for error in errors[:3]) < _AGREE:
            break
    return found, errors


def _difference(found: PosteriorMoments, control: PosteriorMoments) -> PosteriorMoments:
    kernels = {name: np.abs(kernel - control.kernels[name]) for name, kernel in found.kernels.items()}
    log_evidence, mean, second = (np.abs(a - b) for a, b in zip(found[:3], control[:3], strict=True))
    return PosteriorMoments(log_evidence, mean, second, kernels)


def _posterior(problem: _Problem, fineness: float, shift: float) -> PosteriorMoments:
    """Fourier integrals over the wave numbers; even functions of k come with cos(k y), odd ones with sin(k y)."""
    neuron = _neuron(problem, fineness, shift)
    k, volume = _wave_numbers(problem, neuron, fineness, shift)
    tilted = _tilted(problem, neuron, k)
    phase, size = np.tensordot(k, problem.targets, axes=2), volume * np.exp(_log_characteristic(problem, k, tilted))
    even, odd = np.cos(phase) * size, np.sin(phase) * size
    evidence = even.sum()
    even, odd = even / evidence, odd / evidence
    mean, second = _output_moments(problem, k, tilted)
    _, C_b, C_W = problem.layer
    kernels = {
        "hidden_kernel": C_b + C_W * np.tensordot(even, tilted.ss, axes=1),
        "preactivation_kernel": np.tensordot(even, tilted.zz, axes=1),
    }
    return PosteriorMoments(
        np.log(evidence), np.tensordot(odd, mean, axes=1), np.tensordot(even, second, axes=1), kernels
    )


def _neuron(problem: _Problem, fineness: float, shift: float) -> _Neuron:
    network = problem.network
    K = first_kernel(network, input_gram(network, problem.task.inputs))
    z, weight = neuron_nodes(network.activation, K, fineness, shift)
    return _Neuron(z, np.asarray(network.activation(z)), weight)


def _log_characteristic(problem: _Problem, k: Array, tilted: _Tilted) -> Array:
    """Logarithm of the characteristic function of the noisy targets."""
    n, C_b, _ = problem.layer
    gaussian = C_b * np.sum(k.sum(axis=2) ** 2, axis=1) + problem.noise * np.sum(k**2, axis=(1, 2))
    return np.asarray(n * tilted.log_mean - gaussian / 2)


def _output_moments(problem: _Problem, k: Array, tilted: _Tilted) -> tuple[Array, Array]:
    """First and second derivatives in further wave numbers at 0, over the function itself, without powers of i.

    Mean g_ia = C_b sum_c k_ic + C_W t_ia with t_ia = sum_c <s_a s_c> k_ic; second moment
    delta_ij (C_b + C_W <s_a s_b>) - C_W^2/n (<s_a s_b s_c s_d> k_ic k_jd - t_ia t_jb) - g_ia g_jb.
    """
    n, C_b, C_W = problem.layer
    t = np.einsum("pac,pic->pia", tilted.ss[:, :, : k.shape[2]], k)
    g = C_b * k.sum(axis=2)[..., None] + C_W * t
    independent = np.einsum("ij,pab->piajb", np.eye(k.shape[1]), C_b + C_W * tilted.ss)
    joint = np.einsum("pabcd,pic,pjd->piajb", tilted.ssss, k, k, optimize=True) - _square(t)
    return g, independent - C_W**2 / n * joint - _square(g)


def _square(t: Array) -> Array:
    return np.asarray(t[:, :, :, None, None] * t[:, None, None, :, :])


def _tilted(problem: _Problem, neuron: _Neuron, k: Array) -> _Tilted:
    train = k.shape[2]
    ss, zz = neuron.sigma[:, None] * neuron.sigma, neuron.z[:, None] * neuron.z
    factors = (np.ones_like(neuron.weight), ss, zz, ss[:, :, None, None] * ss[:train, :train])
    stacked = np.concatenate([(factor * neuron.weight).reshape(-1, len(neuron.weight)) for factor in factors])
    sums = _summed(problem, neuron.sigma[:train], k, stacked.T)
    mean, *averages = np.split(sums, np.cumsum([factor[..., 0].size for factor in factors[:-1]]), axis=1)
    shapes = [(len(k), *factor.shape[:-1]) for factor in factors[1:]]
    return _Tilted(np.log(mean[:, 0]), *((a / mean).reshape(shape) for a, shape in zip(averages, shapes, strict=True)))


def _summed(problem: _Problem, sigma: Array, k: Array, factors: Array) -> Array:
    """Sums over the nodes of E times each of the weighted factors: (k, factor), as many k at once as memory likes."""
    n, _, C_W = problem.layer
    rows = max(1, _AT_ONCE // len(factors))
    pieces = []
    for start in range(0, len(k), rows):
        fields = np.tensordot(k[start : start + rows], sigma, axes=1)
        pieces.append(np.exp(-C_W / (2 * n) * np.sum(fields**2, axis=1)) @ factors)
    return np.concatenate(pieces)


def _wave_numbers(problem: _Problem, neuron: _Neuron, fineness: float, shift: float) -> tuple[Array, Array]:
    """Wave numbers (k, output, train) of one half space, and their weights; outputs repeat after 2 pi/step, far in the tails."""
    y, (_, C_b, C_W) = problem.targets, problem.layer
    variance = C_b + C_W * float((neuron.sigma**2 @ neuron.weight).max()) + problem.noise
    step = 2 * math.pi / (2 * np.abs(y).max() + 12 * math.sqrt(variance)) / fineness
    reach = REACH / math.sqrt(problem.noise)
    axis, _ = trapezoid_rule(step, reach + step, shift)
    k = np.stack(np.meshgrid(*[axis] * y.size, indexing="ij"), axis=-1).reshape(-1, y.size)
    leading = np.where(k[:, 0] != 0.0, k[:, 0], k[:, -1])
    kept = (np.sum(k**2, axis=1) < reach**2) & (leading >= 0.0)
    volume = np.where(leading[kept] > 0.0, 2.0, 1.0) * (step / (2 * math.pi)) ** y.size
    return k[kept].reshape(-1, *y.shape), volume
