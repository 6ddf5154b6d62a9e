"""Pair averages of a smooth activation for many inputs: Mehler's expansion in the correlation."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import trapezoid_rule
from rgflow.theory.infinite_width.apart import Block, correlation_of
from rgflow.theory.infinite_width.closed_forms import KernelAverages
from rgflow.theory.infinite_width.semidefinite import slices

_MAX_DEGREE = 1200
_REACH = 12.5
_STEP = 0.07  # resolves the Hermite polynomials up to _MAX_DEGREE, whose zeros are pi / sqrt(degree) apart
_FINEST = 0.005  # the step of activations so sharp in units of sqrt(K) that _MAX_DEGREE cannot follow
_ROUNDING = 1e-24
_VALUES_AT_ONCE = 2**21  # of sigma: 16 MiB


class ExpansionError(RgflowError):
    """Mehler's expansion does not converge, or not accurately enough; quadrature pair by pair may do."""


class MehlerDual:
    """<sigma_a sigma_b> = sum_k c_k(a) c_k(b) rho^k with c_k(a) = <sigma(sqrt(K_aa) u) h_k(u)>, and so for sigma'.

    h_k are the normalized Hermite polynomials. The sum runs by Horner's rule over whole blocks; for an odd or even
    sigma only every second power occurs.
    """

    def __init__(self, activation: Activation, variance: Block, rtol: float) -> None:
        self._deviation = np.sqrt(variance)
        deviation = self._deviation.astype(np.float64)
        largest = float(deviation.max()) or 1.0
        step = min(_STEP, activation.quadrature_radius / (9.0 * largest))
        if step < _FINEST:
            raise _too_many_powers(activation, largest)
        u, hermite = _hermite_rule(step)
        widest = activation.value_and_derivative(largest * u)
        degrees = [_degrees_that_matter(hermite @ value, rtol) for value in widest]
        if max(these.stop for these in degrees) > 0.8 * _MAX_DEGREE:  # the rest must be seen to fall
            raise _too_many_powers(activation, largest)
        coefficients = [np.empty((len(hermite[these]), len(variance)), variance.dtype) for these in degrees]
        for here in slices(len(variance), max(1, _VALUES_AT_ONCE // u.size)):
            values = activation.value_and_derivative(deviation[here, None] * u)
            for found, these, value in zip(coefficients, degrees, values, strict=True):
                found[:, here] = hermite[these] @ value.T
        self._series = list(zip(degrees, coefficients, strict=True))

    def __call__(self, rows: slice, cols: slice, c: Block, apart: Block | None) -> KernelAverages:
        del apart  # the averages are as smooth in K as sigma is, whose scale is resolved
        rho = correlation_of(c, self._deviation[rows], self._deviation[cols])
        powers = {1: rho, 2: rho * rho}
        ss, dd = (
            horner(coefficients[:, rows], coefficients[:, cols], powers[degrees.step])
            * (rho if degrees.start == 1 else 1)
            for degrees, coefficients in self._series
        )
        return KernelAverages(ss, dd)


def _too_many_powers(activation: Activation, deviation: float) -> ExpansionError:
    return ExpansionError(
        f"pair averages of {activation.label} at K = {deviation**2:.3g} need more than {_MAX_DEGREE} "
        "powers of the correlation; scale the inputs down, or choose C_b and C_W closer to criticality"
    )


@lru_cache(maxsize=1)
def _hermite_rule(step: float) -> tuple[Block, Block]:
    """Nodes u, and normalized Hermite polynomials h_k(u) for all degrees below the largest times weights, (degrees, nodes)."""
    u, w = trapezoid_rule(step, _REACH)
    h = np.zeros((_MAX_DEGREE, len(u)))
    h[0], h[1] = 1.0, u
    for k in range(1, _MAX_DEGREE - 1):
        h[k + 1] = (u * h[k] - math.sqrt(k) * h[k - 1]) / math.sqrt(k + 1)
    return u, h * w


def _degrees_that_matter(coefficients: Block, rtol: float) -> slice:
    """All degrees, or those of one parity, up to where the rest of the sum of squares is a tenth of rtol of it.

    The sum of squares is the average at rho = 1, where the expansion converges most slowly.
    """
    weight = coefficients**2
    even, odd = weight[0::2].sum(), weight[1::2].sum()
    rest = np.cumsum(weight[::-1])[::-1]
    end = max(2, int(np.count_nonzero(rest > 0.1 * rtol * rest[0])))
    if even < _ROUNDING * odd:
        return slice(1, end, 2)
    return slice(0, end, 2) if odd < _ROUNDING * even else slice(0, end, 1)


def horner(left: Block, right: Block, variable: Block) -> Block:
    """sum_k left_k right_k variable^k."""
    total: Block = left[-1][:, None] * right[-1]
    term = np.empty_like(total)
    for a, b in zip(left[-2::-1], right[-2::-1], strict=True):
        total *= variable
        np.multiply(a[:, None], b, out=term)
        total += term
    return total
