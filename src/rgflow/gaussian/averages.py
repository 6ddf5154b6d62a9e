"""The Gaussian averages that one step of the recursions reads, whichever engine evaluates them."""

from __future__ import annotations

from typing import Protocol

from rgflow.gaussian.moments import Array

Orders = tuple[int, int, int, int]


class Averages(Protocol):
    """Averages <...>_K over one neuron and N inputs."""

    @property
    def error(self) -> float:
        """Largest estimated relative quadrature error of anything evaluated so far."""

    def pair(self, p: int, q: int | None = None) -> Array:
        """<sigma^(p)_a sigma^(q)_b>: (N, N); q defaults to p."""

    def jacobian(self, p: int) -> Array:
        """Derivatives of <sigma^(p)_a sigma^(p)_b> in (K_aa, K_ab, K_bb): (N, N, 3); see `Expectations.jacobian`."""

    def hessian(self, p: int) -> Array:
        """Second derivatives in the variables of `jacobian`: (N, N, 3, 3)."""

    def quartic(self, orders: Orders) -> Array:
        """<s_a s_b s_c s_d> with s_a = sigma^(orders[0])(z_a) and so on: (N, N, N, N)."""
