"""The basis in which the infinite-width dynamics of train and test samples is diagonal.

Rows are the N_A eigenmodes e_p of the train NTK, z_p = e_p . z_A, and then the test samples with their kernel prediction
removed, z_b - Theta_bA Theta_AA^{-1} z_A. In these rows Theta_xp = theta_x d_xp with theta_x = 0 for test rows, so a test
sample is just a mode that is never learned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rgflow.errors import RgflowError
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.dynamics import singular


class Eigenbasis(NamedTuple):
    """Eigenvalues of the train NTK and the matrices between samples and rows."""

    theta: Array
    """(N_A,), ascending."""
    train: Array
    """Train samples to train modes, (mode, train sample)."""
    rows: Array
    """All samples to all rows, (row, sample)."""
    samples: Array
    """All rows to all samples, the inverse of ``rows``."""

    @property
    def test_count(self) -> int:
        """Number of test samples."""
        return len(self.rows) - len(self.theta)


def eigenbasis(Theta: Array, theta: Array, modes: Array) -> Eigenbasis:
    """The basis of an NTK of all samples, from the spectrum of its train block.

    Parameters
    ----------
    Theta
        (N, N), train samples first.
    theta, modes
        Eigenvalues, ascending, and eigenvectors (columns) of the train block.

    Raises
    ------
    RgflowError
        The train block is singular, so that the kernel prediction of test samples does not exist.
    """
    if singular(theta)[0]:
        raise RgflowError(
            f"the NTK of the train samples is singular (eigenvalues {theta[0]:.2g} to {theta[-1]:.2g}): drop repeated or "
            "parallel train inputs, or use order='leading'"
        )
    N_A, N = len(theta), len(Theta)
    rows, samples = np.eye(N), np.eye(N)
    rows[:N_A, :N_A], samples[:N_A, :N_A] = modes.T, modes
    samples[N_A:, :N_A] = Theta[N_A:, :N_A] @ modes / theta
    rows[N_A:, :N_A] = -samples[N_A:, :N_A] @ modes.T
    return Eigenbasis(theta, modes.T, rows, samples)
