"""Learning rates, and what differs from seed to seed before and after training, at one initialization of a chain."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain, Flow, Point
from rgflow.practice.rates import RATES, kept_modes
from rgflow.practice.units import Training
from rgflow.theory.depth.asymptotics import kernel_exponents
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.infinite_width import train_spectrum

Array = NDArray[np.float64]

STEPS = 1000  # of training, after which spreads are predicted
SUGGESTED = 0.5  # of the largest safe rate
_FAST_SLACK = 1.0 / 3.0  # of activations whose K falls faster than 1/l
_HELD_OUT = 8  # one input in so many is predicted rather than learned


def safe(chain: Chain, training: Training, theta_max: float) -> float:
    """Largest eta called safe for a chain: that of the training, or a third of it where K falls faster than 1/l.

    That is so for activations like SELU and ELU, whose sigma'^2 differs in slope or curvature on the two sides of 0. Their small
    preactivations are moved far by training, to where chi_perp is not 1: measured, 1 to 2 times the frozen limit fails, and less
    for cross-entropy.
    """
    return training.safe(theta_max) * (_FAST_SLACK if any(map(_falls_fast, set(chain.activations))) else 1.0)


@cache
def _falls_fast(sigma: Activation) -> bool:
    try:
        return kernel_exponents(sigma)[0] > 1.0
    except RgflowError:  # no critical point, or no power law
        return False


def learning(
    chain: Chain, point: Point, found: Flow, rates: dict[str, Array], batch: Batch, training: Training
) -> xr.Dataset:
    """Learning rates, and spreads over seeds before and after training."""
    N, outputs = len(batch.inputs), chain.widths[-1]
    variables: dict[str, Any] = {}
    limits = []
    for kind in RATES:
        theta = np.linalg.eigvalsh(found.contributions(*rates[kind]).sum(axis=0))[-1]
        limits.append(training.rate(safe(chain, training, theta), N, outputs) if theta > 0.0 else np.nan)
    variables["safe_rate"] = ("rates", np.array(limits))
    variables["suggested_rate"] = ("rates", SUGGESTED * np.array(limits))
    variables["initial_spread"] = (), math.sqrt(float(np.mean(found.K[-1].diagonal())))
    try:
        variables |= _modes(chain, found, rates["tensor"], batch, training)
    except RgflowError as error:
        return xr.Dataset(variables, attrs={"remark": str(error)})
    if batch.targets is not None and training.loss == "mse":
        variables |= _losses(chain, point, found, rates["tensor"], batch, training)
    return xr.Dataset(variables)


def _modes(chain: Chain, found: Flow, tensor: Array, batch: Batch, training: Training) -> dict[str, Any]:
    """Spectrum of the NTK on the batch, and the steps to learn its slowest kept mode at the suggested rate."""
    Theta = found.contributions(*tensor).sum(axis=0)
    theta, modes = train_spectrum(Theta, len(Theta))
    weight = theta if batch.targets is None else ((modes.T @ batch.targets) ** 2).sum(axis=1)
    eta = SUGGESTED * safe(chain, training, theta[-1]) / (1.0 - training.momentum)
    slowest = theta[kept_modes(theta, weight)].min()
    return {
        "theta_eigenvalue": ("mode", theta),
        "theta_max": ((), theta[-1]),
        "steps_to_learn": ((), 1.0 / (eta * slowest)),
    }


def _losses(chain: Chain, point: Point, found: Flow, tensor: Array, batch: Batch, training: Training) -> dict[str, Any]:
    """Mean and standard deviation over seeds of torch's loss at the start, and of predictions after training."""
    assert batch.targets is not None
    K, y, outputs = found.K[-1], batch.targets, chain.widths[-1]
    factor = training.loss_factor(*y.shape)
    mean = (outputs * np.trace(K) + (y**2).sum()) / 2
    variance = outputs * (K**2).sum() / 2 + np.einsum("ai,ab,bi->", y, K, y) + _vertex_part(chain, point, batch, K)
    return {
        "initial_loss": ((), factor * mean),
        "initial_loss_spread": ((), factor * math.sqrt(variance)),
        "final_spread": ((), _final_spread(chain, found, tensor, training)),
    }


def _vertex_part(chain: Chain, point: Point, batch: Batch, K: Array) -> float:
    """[n_L^2 sum V_(aa)(bb) + 2 n_L sum V_(ab)(ab)]/(4n), what the vertex adds to the variance of 1/2 sum z^2.

    V over K_aa K_bb is taken from a pair of inputs with the batch's mean square and mean correlation.
    """
    if not chain.is_plain or chain.depth < 2:
        return 0.0
    same, direct, crossed = _vertex_of_pair(chain, point, batch)
    square, trace = float((K.diagonal() ** 2).sum()), float(np.trace(K) ** 2)
    outputs, n = chain.widths[-1], chain.widths[-2]
    aabb, abab = (same * square + other * (trace - square) for other in (direct, crossed))
    return float(outputs**2 * aabb + 2 * outputs * abab) / (4 * n)


def _vertex_of_pair(chain: Chain, point: Point, batch: Batch) -> tuple[float, float, float]:
    """V_(aa)(aa)/K_aa^2, V_(aa)(bb)/(K_aa K_bb) and V_(ab)(ab)/(K_aa K_bb) at the outputs.

    All three are that of one input where the two become alike, or where averages over two take long, as beside kinks.
    """
    nothing = np.zeros(chain.depth)
    network = chain.network(point, nothing, nothing)
    if all(not sigma.kinks or sigma.slopes is not None for sigma in chain.activations):
        with suppress(RgflowError):
            return _pair_ratios(initialization_theory(network, _typical_pair(batch), ("K", "V"), rtol=1e-6))
    one = single_input_theory(network, batch.mean_square)
    return (float(one["V"][-1] / one["K"][-1] ** 2),) * 3


def _pair_ratios(theory: xr.Dataset) -> tuple[float, float, float]:
    V, K = theory["V"].values[-1], theory["K"].values[-1].diagonal()
    return float(V[0, 0, 0, 0] / K[0] ** 2), float(V[0, 0, 1, 1] / K[0] / K[1]), float(V[0, 1, 0, 1] / K[0] / K[1])


def _typical_pair(batch: Batch) -> Array:
    """Two inputs of the batch's mean square and mean correlation."""
    gram, n_0 = batch.gram, batch.inputs.shape[1]
    norm = np.sqrt(np.maximum(gram.diagonal(), np.finfo(float).tiny))
    off = ~np.eye(len(gram), dtype=bool)
    rho = float(np.mean((gram / np.outer(norm, norm))[off])) if off.any() and n_0 > 1 else 1.0
    length = math.sqrt(n_0 * batch.mean_square)
    pair = np.zeros((2, n_0))
    pair[:, 0] = length, rho * length
    if n_0 > 1:
        pair[1, 1] = math.sqrt(max(1.0 - rho**2, 0.0)) * length
    return pair


def _final_spread(chain: Chain, found: Flow, tensor: Array, training: Training) -> float:
    """Root mean square over held-out inputs of the deviation over seeds, trained on the others for `STEPS` steps."""
    N = len(found.K[-1])
    held = np.arange(N) % _HELD_OUT == _HELD_OUT - 1
    if not held.any():
        return math.nan
    order = np.concatenate([np.flatnonzero(~held), np.flatnonzero(held)])
    count = int((~held).sum())
    K, Theta = (matrix[np.ix_(order, order)] for matrix in (found.K[-1], found.contributions(*tensor).sum(axis=0)))
    deviation = np.eye(N) - np.pad(_learned(chain, Theta, count, training, STEPS), ((0, 0), (0, N - count)))
    spread = np.einsum("ab,bc,ac->a", deviation, K, deviation)[count:]
    return math.sqrt(max(float(spread.mean()), 0.0))  # below 0 by rounding where all is learned


def _learned(chain: Chain, Theta: Array, count: int, training: Training, steps: int) -> Array:
    """M_t = Theta_.A f_t(Theta_AA) at the suggested rate, such that the mean output is M_t y, (N, count)."""
    theta, modes = train_spectrum(Theta, count)
    eta = SUGGESTED * safe(chain, training, theta[-1])
    return np.asarray(Theta[:, :count] @ modes * learned_fraction(theta, eta, training.momentum, steps) @ modes.T)


def learned_fraction(theta: Array, eta: float, momentum: float, steps: int) -> Array:
    """f_t(theta) = (1 - z_t)/theta of the errors z_(t+1) = (1 - eta theta) z_t + momentum (z_t - z_(t-1)), z_0 = z_(-1) = 1."""
    before, now = np.zeros_like(theta), np.zeros_like(theta)
    for _ in range(steps):
        before, now = now, now + eta * (1.0 - theta * now) + momentum * (now - before)
    return now


def loss_after(chain: Chain, found: Flow, tensor: Array, targets: Array, training: Training, steps: int) -> float:
    """Mean over seeds of torch's square loss after full-batch steps at the suggested rate, at infinite width."""
    K, Theta = found.K[-1], found.contributions(*tensor).sum(axis=0)
    learned = _learned(chain, Theta, len(Theta), training, steps)
    deviation = np.eye(len(Theta)) - learned
    bias = 0.5 * ((learned @ targets - targets) ** 2).sum()
    loss = bias + 0.5 * targets.shape[1] * np.trace(deviation @ K @ deviation.T)
    return training.loss_factor(*targets.shape) * float(loss)
