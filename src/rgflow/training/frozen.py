"""Training with the infinite-width NTK frozen, and its first-order answer to a network's own NTK: the control variate.

With A the train samples and eps = z_A(0) - y, a step of gradient descent with a frozen NTK Theta + dH changes z by
-eta (Theta + dH)_{.A} (z_A - y). To first order in dH, which a network knows from its own start,

    z(t) = m(t) + J_t z(0) + z1(t),    m(t) = (1 - J_t) y,    z1(t) = -sum_p g_xp(t) dH_xp eps_p,

where x and p are rows in which Theta is diagonal, u = 1 - eta theta, J = u^t and
g_xp = eta sum_{tau < t} u_x^(t-1-tau) u_p^tau. Test samples are rows with theta = 0: z_B - Theta_BA Theta_AA^-1 z_A.
What remains of a trained network is of second order in its deviations, of mean and spread O(1/n).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.learning.output import output_kernels

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frozen:
    """Infinitely wide networks in training.

    Attributes
    ----------
    K, Theta
        Kernel and NTK of the outputs, (sample, sample), train samples first.
    targets
        Of the train samples, (sample, output).
    learning_rate
        eta.
    """

    K: Array
    Theta: Array
    targets: Array
    learning_rate: float

    @classmethod
    def of(cls, network: Network, task: Task, learning_rate: float) -> Frozen:
        """The infinitely wide networks beside an ensemble."""
        return cls(*output_kernels(network, task.inputs), task.train_targets, learning_rate)

    @cached_property
    def spectrum(self) -> tuple[Array, Array, Array]:
        """theta of every row, zero for test rows; E, whose rows make rows of samples; and E^-1."""
        train, count = len(self.targets), len(self.Theta)
        theta, modes = np.linalg.eigh(self.Theta[:train, :train])
        theta = np.where(theta > count * np.finfo(float).eps * theta[-1], theta, 0.0)
        inverse = np.divide(1.0, theta, out=np.zeros_like(theta), where=theta > 0)
        rows, back = np.eye(count), np.eye(count)
        reach = self.Theta[train:, :train] @ modes * inverse
        rows[:train, :train], rows[train:, :train] = modes.T, -reach @ modes.T
        back[:train, :train], back[train:, :train] = modes, reach
        return np.concatenate([theta, np.zeros(count - train)]), rows, back

    @property
    def modes(self) -> int:
        """Number of train samples, which is that of the rows that learn."""
        return len(self.targets)

    def propagator(self, step: int) -> Array:
        """J_t (sample, sample): what is left of z(0)."""
        theta, rows, back = self.spectrum
        return np.asarray(back * (1.0 - self.learning_rate * theta) ** step @ rows)

    def mean(self, step: int) -> Array:
        """m(t) (sample, output); the rows of test samples have no targets."""
        theta, _, back = self.spectrum
        learned = 1.0 - (1.0 - self.learning_rate * theta) ** step
        return np.asarray(back * learned @ self.in_rows(self.targets))

    def response(self, step: int) -> Array:
        """g_xp(t) (row, mode), by doubling: g(s + t) = u_x^s g(t) + g(s) u_p^t."""
        decay = 1.0 - self.learning_rate * self.spectrum[0]
        u_x, u_p = decay[:, None], decay[None, : self.modes]
        g, power = np.zeros((len(decay), self.modes)), np.full((len(decay), self.modes), self.learning_rate)
        bits, done, span = step, 0, 1
        while bits:
            if bits & 1:
                g = u_x**span * g + power * u_p**done
                done += span
            power = (u_x**span + u_p**span) * power
            bits, span = bits >> 1, 2 * span
        return g

    def in_rows(self, train_values: Array) -> Array:
        """Values (sample, output) of the train samples in all rows; test rows are zero."""
        modes = self.spectrum[1][: self.modes, : self.modes]
        return np.concatenate([modes @ train_values, np.zeros((len(self.K) - self.modes, train_values.shape[1]))])

    def sources(self, delta_H: Array, start: Array) -> Array:
        """dH_xp eps_p summed over the components of eps, for each row x and mode p.

        Parameters
        ----------
        delta_H
            H(0) - Theta, shape (member, output, output, sample, sample).
        start
            z(0), shape (member, output, sample).

        Returns
        -------
        Shape (member, output, row, mode).
        """
        _, rows, _ = self.spectrum
        modes = rows[: self.modes, : self.modes]
        train = slice(None, self.modes)
        eps = (start[..., train] - self.targets.T) @ modes.T
        return np.asarray(np.einsum("mijxp,mjp->mixp", rows @ delta_H[..., train] @ modes.T, eps, optimize=True))

    def first_order(self, sources: Array, step: int) -> Array:
        """z1(t) (member, output, sample) from :meth:`sources`."""
        return np.asarray(-(sources * self.response(step)).sum(axis=-1) @ self.spectrum[2].T)
