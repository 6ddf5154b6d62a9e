"""Two parallel inputs, z_a = s_a u and z_b = s_b u: averages over one standard normal u, with the kinks of both."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.hermite_e import hermeval

from rgflow.activations.activation import MAX_ORDER, Activation
from rgflow.gaussian.moments import Array
from rgflow.gaussian.nodes import Vector, normal_density
from rgflow.gaussian.single import line_rule

RESOLVED = 8 * float(np.finfo(np.float64).eps)  # 1 - |correlation| that K tells from 0
_PARALLEL = 1e-13  # 1 - correlation^2 below which two inputs are parallel


def parallel_pairs(K: Array) -> list[tuple[int, int]]:
    """The pairs a < b of inputs, none without variance, that are multiples of each other."""
    variance = np.multiply.outer(K.diagonal(), K.diagonal())
    a, b = np.nonzero(np.triu(variance - K**2 <= _PARALLEL * variance, 1))
    return list(zip(a.tolist(), b.tolist(), strict=True))


def apartness(K: Array) -> Array:
    """1 - |correlation| as well as K tells it, 0 where that is rounding: parallel inputs stay parallel."""
    deviation = np.sqrt(K.diagonal())
    size = np.multiply.outer(deviation, deviation)
    apart = 1 - np.abs(np.divide(K, size, out=np.zeros_like(K), where=size > 0))
    return np.where(apart > RESOLVED, apart, 0.0)


@dataclass(frozen=True)
class ParallelPair:
    """Averages of sigma^(p)(s_a u) sigma^(q)(s_b u); the scales s are not 0 and may differ in sign."""

    activation: Activation
    scale_a: float
    scale_b: float
    refinement: float = 1.0

    def mean(self, p: int, q: int) -> float:
        """<sigma^(p)_a sigma^(q)_b>; one factor may have delta functions, where the other enters with the mean of its sides."""
        u, w = self._rule
        regular = w @ (self._derivative(p, self.scale_a * u) * self._derivative(q, self.scale_b * u))
        return float(
            regular + self._deltas(p, self.scale_a, q, self.scale_b) + self._deltas(q, self.scale_b, p, self.scale_a)
        )

    def scale_derivative(self, p: int, times: int) -> float:
        """d^times/dK_aa^times of <sigma^(p)_a sigma^(p)_b> at fixed s_b/s_a, by Stein: <He_(2 times)(u) ...>/(2 K_aa)^times."""
        u, w = self._rule
        hermite = hermeval(u, [0.0] * (2 * times) + [1.0])
        values = self._derivative(p, self.scale_a * u) * self._derivative(p, self.scale_b * u)
        return float(w @ (hermite * values) / (2 * self.scale_a**2) ** times)

    def size(self, p: int, q: int) -> float:
        """The scale of an average with derivatives of orders p and q: that of sigma in units of the standard deviations."""
        u, w = self._rule
        squares = [w @ self.activation(scale * u) ** 2 for scale in (self.scale_a, self.scale_b)]
        return float(np.sqrt(np.prod(squares)) * abs(self.scale_a) ** -p * abs(self.scale_b) ** -q)

    @cached_property
    def _rule(self) -> tuple[Vector, Vector]:
        return line_rule(self.activation, (self.scale_a, self.scale_b), self.refinement)

    def _derivative(self, order: int, z: Array) -> Array:
        return np.asarray(self.activation.derivative(z, order))

    def _deltas(self, order: int, scale: float, other_order: int, other_scale: float) -> float:
        """The part of the delta functions in sigma^(order)(scale u): jump of sigma^(order-1) times density times the other."""
        if order == 0:
            return 0.0
        total = 0.0
        for kink in self.activation.kinks:
            below, above = self.activation.sides(kink, MAX_ORDER)
            other = np.mean(self.activation.sides(other_scale * kink / scale, MAX_ORDER), axis=0)[other_order]
            total += (
                (above[order - 1] - below[order - 1]) * other * normal_density(np.asarray(kink / scale)) / abs(scale)
            )
        return float(total)
