"""Time dependence of training to first order in 1/n: kernels of the modes of the train NTK.

Training moves along theta -> theta - lambda grad z kappa eps with a matrix kappa(Theta_AA) between train samples: mode p, of
eigenvalue theta_p, takes steps of size eta_p. Gradient descent has eta_p = eta, a Newton-like step eta_p = eta / theta_p.
At infinite width the error of mode p shrinks by u_p = 1 - eta_p theta_p per step. The next order kicks modes p, q, s at
ordered steps and lets what they excite, the row x, decay by u_x until t; summed over steps this gives the kernels

    g_xp = eta_p sum u_x^(t-1-tau) u_p^tau,   a_xpq = eta_p eta_q sum_{r < tau} u_x^(t-1-tau) u_p^tau u_q^r,
    b_xpq: r = tau, half,   c1_xpqs: v < r < tau,   c2: v = r < tau,   c3: v < r = tau,   c4: v = r = tau,

with p the latest and s the earliest kick. A test sample, its share of the kernel prediction removed, is a row with
eigenvalue 0. In gradient flow kicks never coincide and only g, a and c1 remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.chains import corners, exponentials, matrix_powers


class NestedKernel(NamedTuple):
    """A kernel as prefactor times nested sum: losses[k] is 1 - w_{k+1} (of flow, the rate) with the row x last."""

    prefactor: Array
    losses: tuple[Array, ...]

    def values(self, corner: Array) -> Array:
        """The kernel from the corner entry of its bidiagonal matrix, for all rows and modes."""
        return np.broadcast_to(self.prefactor * corner, np.broadcast_shapes(*(loss.shape for loss in self.losses)))

    @property
    def limit(self) -> Array:
        """Kernel of test rows at t -> infinity, prefactor / prod_{k < m} (1 - w_k); without the axis of the row."""
        with np.errstate(divide="ignore"):
            return np.asarray(self.prefactor / np.prod(np.broadcast_arrays(*self.losses[:-1]), axis=0))


@dataclass(frozen=True)
class KernelsInTime:
    """All kernels at one time, for rows x = train modes then test samples, and train modes p, q, s."""

    decay: Array
    """u_x^t, (N,)."""
    g: Array
    """(N, N_A)."""
    gg: Array
    """The kernel of two kicks by dH of the NTK at initialization, q before p; (N, N_A, N_A)."""
    a: Array
    b: Array
    c: Mapping[str, Array]
    """c1 to c4 as far as they do not vanish identically, (N, N_A, N_A, N_A)."""

    @property
    def f(self) -> Array:
        """f_c = (1 - u_c^t) / theta_c, the integral of the error of a mode; (N_A,)."""
        return np.asarray(self.g[-1])

    @property
    def a_hat(self) -> Array:
        """a for a row that does not decay, (N_A, N_A)."""
        return np.asarray(self.a[-1])

    @property
    def b_hat(self) -> Array:
        """b for a row that does not decay, (N_A, N_A)."""
        return np.asarray(self.b[-1])


@dataclass(frozen=True)
class Dynamics:
    """How the train modes move: by steps, or by gradient flow.

    Parameters
    ----------
    theta
        Eigenvalues of the train NTK, (N_A,).
    rate
        Step size eta_p of each mode; of gradient flow the factor kappa_p of its speed.
    flow
        Whether time is continuous.
    """

    theta: Array
    rate: Array
    flow: bool

    def learned_fraction(self, time: float) -> Array:
        """f_t = (1 - u^t) / theta, for t -> infinity the pseudo-inverse of theta."""
        if np.isinf(time):
            return _inverse(self.theta)
        if not self.flow:
            return gradient_descent_fraction(self.theta, self.rate, int(time))
        f = self.rate * time
        np.divide(-np.expm1(-f * self.theta), self.theta, out=f, where=self.theta > 0.0)
        return f

    def kernels(self, times: Sequence[float], test_count: int) -> Iterator[KernelsInTime]:
        """Kernels at increasing finite times."""
        propagate, offset = (exponentials, 0.0) if self.flow else (matrix_powers, 1.0)
        paths = {
            name: corners([offset - loss for loss in chain.losses], times, propagate)
            for name, chain in self._chains.items()
        }
        for time in times:
            values = {name: chain.values(next(paths[name])) for name, chain in self._chains.items()}
            yield _kernels(values, self._decay(time), test_count)

    def limit(self, test_count: int) -> KernelsInTime:
        """Kernels at t -> infinity, where train rows are learned and all that is left is in test rows."""
        values = {}
        for name, chain in self._chains.items():
            of_test = chain.limit
            values[name] = np.concatenate([np.zeros((len(self.theta), *of_test.shape)), of_test[None]])
        return _kernels(values, np.zeros_like(self.theta), test_count)

    def _decay(self, time: float) -> Array:
        loss = self.rate * self.theta
        return np.exp(-loss * time) if self.flow else (1.0 - loss) ** time

    @cached_property
    def _chains(self) -> dict[str, NestedKernel]:
        return (flow_chains if self.flow else descent_chains)(self.rate * self.theta, self.rate)


def descent_chains(loss: Array, eta: Array) -> dict[str, NestedKernel]:
    """Kernels of steps, from 1 - u_p and eta_p of the modes; the kernel of h_{t-m+1}(w_1, ..., w_m) has m losses."""
    x, (p,), (eta_p,) = _row(loss, 1), _legs(loss, 1), _legs(eta, 1)
    chains = {"g": NestedKernel(eta_p, (p, x))}
    x, (p, q), (eta_p, eta_q) = _row(loss, 2), _legs(loss, 2), _legs(eta, 2)
    chains["gg"] = NestedKernel(eta_p * eta_q, (q, p, x))
    chains["a"] = NestedKernel(eta_p * eta_q * (1 - p), (_both(p, q), p, x))
    chains["b"] = NestedKernel(eta_p * eta_q / 2, (_both(p, q), x))
    x, (p, q, s), (eta_p, eta_q, eta_s) = _row(loss, 3), _legs(loss, 3), _legs(eta, 3)
    pq, pqs, eta_pqs = _both(p, q), _both(_both(p, q), s), eta_p * eta_q * eta_s
    chains["c1"] = NestedKernel(eta_pqs * (1 - p) ** 2 * (1 - q), (pqs, pq, p, x))
    chains["c2"] = NestedKernel(eta_pqs * (1 - p), (pqs, p, x))
    chains["c3"] = NestedKernel(eta_pqs * (1 - p) * (1 - q), (pqs, pq, x))
    chains["c4"] = NestedKernel(eta_pqs, (pqs, x))
    return chains


def flow_chains(loss: Array, kappa: Array) -> dict[str, NestedKernel]:
    """Kernels of gradient flow, from the rates kappa_p theta_p and the factors kappa_p of the modes."""
    x, (p,), (kappa_p,) = _row(loss, 1), _legs(loss, 1), _legs(kappa, 1)
    chains = {"g": NestedKernel(kappa_p, (p, x))}
    x, (p, q), (kappa_p, kappa_q) = _row(loss, 2), _legs(loss, 2), _legs(kappa, 2)
    chains["gg"] = NestedKernel(kappa_p * kappa_q, (q, p, x))
    chains["a"] = NestedKernel(kappa_p * kappa_q, (p + q, p, x))
    x, (p, q, s), (kappa_p, kappa_q, kappa_s) = _row(loss, 3), _legs(loss, 3), _legs(kappa, 3)
    chains["c1"] = NestedKernel(kappa_p * kappa_q * kappa_s, (p + q + s, p + q, p, x))
    return chains


def gradient_descent_fraction(theta: Array, eta: float | Array, step: int) -> Array:
    """Return f_t(theta) = [1 - (1 - eta theta)^t] / theta, accurate also for small eta theta t, where it is eta t."""
    x = eta * theta
    small = x < 0.5
    f = np.full_like(theta, eta * step)
    slow = small & (x > 0)
    f[slow] = -np.expm1(step * np.log1p(-x[slow])) / theta[slow]
    f[~small] = (1.0 - (1.0 - x[~small]) ** step) / theta[~small]
    return f


def singular(theta: Array) -> NDArray[np.bool_]:
    """Which eigenvalues, in ascending order, are zero within rounding."""
    return np.asarray(theta <= len(theta) * np.finfo(theta.dtype).eps * theta[-1])


def _inverse(theta: Array) -> Array:
    """Return 1 / theta, and 0 for modes that are zero within rounding."""
    inverse = np.zeros_like(theta)
    np.divide(1.0, theta, out=inverse, where=~singular(theta))
    return inverse


def _both(first: Array, second: Array) -> Array:
    """1 - u_p u_q from 1 - u_p and 1 - u_q, without cancellation."""
    return first + second - first * second


def _row(values: Array, legs: int) -> Array:
    """Values of the rows, train modes then one test row with value 0, along the first of 1 + legs axes."""
    return np.append(values, 0.0).reshape(-1, *(1,) * legs)


def _legs(values: Array, legs: int) -> tuple[Array, ...]:
    """Values of the train modes p, q, ... along the first, second, ... of the last ``legs`` axes."""
    return tuple(values.reshape(-1, *(1,) * after) for after in reversed(range(legs)))


def _kernels(values: Mapping[str, Array], decay: Array, test_count: int) -> KernelsInTime:
    """Give every test sample the one test row that they share."""
    train_count = len(decay)
    rows = np.minimum(np.arange(train_count + test_count), train_count)
    at = {name: value[rows] for name, value in values.items()}
    c = {name: value for name, value in at.items() if name.startswith("c")}
    return KernelsInTime(
        np.append(decay, 1.0)[rows], at["g"], at["gg"], at["a"], at.get("b", np.zeros_like(at["a"])), c
    )
