"""Conditioning a Gaussian prior on train data: the matrices in which every formula of Bayesian learning is written."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from rgflow.errors import RgflowError
from rgflow.theory.initialization.contraction import Array


class Conditioning(NamedTuple):
    """What the posterior of a prior with kernel K knows of the data, K~ = K_AA + noise on the train set A.

    Attributes
    ----------
    M
        K_{.A} K~^{-1}, (sample, train): predicts any sample from the train targets.
    v
        K~^{-1} y, (train, output).
    inverse
        K~^{-1}, (train, train).
    """

    M: Array
    v: Array
    inverse: Array

    @property
    def train_count(self) -> int:
        """N_A."""
        return len(self.v)

    @property
    def outputs(self) -> int:
        """n_L."""
        return int(self.v.shape[1])

    @property
    def mismatch(self) -> Array:
        """Y = sum_i v_i v_i^T - n_L K~^{-1}: how the data differ from what the prior expects, in units of K~; 0 on average."""
        return np.asarray(self.v @ self.v.T - self.outputs * self.inverse)

    def project(self, T: Array, leg: int = 0) -> Array:
        """T_{b...} - M_{ba} T_{a...} on one leg over all samples: what the train samples do not tell of it."""
        train = np.take(T, np.arange(self.train_count), axis=leg)
        return np.asarray(T - np.moveaxis(np.tensordot(self.M, train, axes=(1, leg)), 0, leg))

    def perturbed(self, K: Array) -> Conditioning:
        """The same to first order in a small change of the kernel, (sample, sample)."""
        train = K[: self.train_count, : self.train_count]
        return Conditioning(
            M=self.M + self.project(K[:, : self.train_count]) @ self.inverse,
            v=self.v - self.inverse @ train @ self.v,
            inverse=self.inverse - self.inverse @ train @ self.inverse,
        )

    def majorant(self) -> Conditioning:
        """Absolute values with those signs that make every term of the posterior's formulas add up.

        In these formulas each power of M or K~^{-1} comes with one minus sign. So with -|M|, |v|, -|K~^{-1}| and the absolute
        values of all tensors they become sums of positive terms, which bound the formulas themselves.
        """
        return Conditioning(-np.abs(self.M), np.abs(self.v), -np.abs(self.inverse))


def conditioning(K: Array, targets: Array, noise: float) -> Conditioning:
    """Condition the kernel K of all samples, train first, on targets (train, output) with observation noise.

    Raises
    ------
    RgflowError
        K~ is singular within rounding.
    """
    train_count = len(targets)
    kappa, modes = noisy_spectrum(K[:train_count, :train_count], noise)
    inverse = (modes / kappa) @ modes.T
    return Conditioning(K[:, :train_count] @ inverse, inverse @ targets, inverse)


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


def check_noise(noise: float) -> None:
    """Raise one line unless the noise is a variance."""
    if not (math.isfinite(noise) and noise >= 0.0):
        raise RgflowError(f"noise = {noise}; it is a variance and must be finite and not negative")


def log_evidence_bound(outputs: int, train_count: int, noise: float) -> float:
    """Largest log evidence that any prior can have, -n_L N_A/2 log(2 pi noise): the density of the noise at its peak."""
    return -0.5 * outputs * train_count * math.log(2.0 * math.pi * noise) if noise else math.inf
