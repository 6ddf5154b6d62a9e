"""Pair averages <sigma_a sigma_b> and <sigma'_a sigma'_b> for blocks of pairs at once: the work of infinite width.

Closed forms where they exist; for other smooth activations Mehler's expansion in the correlation, whose coefficients
belong to single inputs, checked against an independent quadrature.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rgflow.activations.registry import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.nodes import trapezoid_rule

Block = npt.NDArray[Any]
Means = tuple[Block, Block]
PairForm = Callable[[Block, Block, Block], Means]
"""(K_aa of the rows, K_bb of the columns, K_ab) -> (<sigma_a sigma_b>, <sigma'_a sigma'_b>)."""
Dual = Callable[[slice, slice, Block], Means]
"""The same for rows and columns given by their place among the inputs, in one layer."""

_MAX_DEGREE = 1200
_REACH = 12.5
_STEP = 0.07  # resolves the Hermite polynomials up to _MAX_DEGREE, whose zeros are pi / sqrt(degree) apart
_ROUNDING = 1e-24
_CHECKED_INPUTS = 6
_PARALLEL = 32


def dual(activation: Activation, variance: Block, rtol: float) -> tuple[Dual, float]:
    """The pair averages of one layer.

    Parameters
    ----------
    activation
        A scale-invariant or a smooth activation.
    variance
        (N,) K_aa of all inputs in the layer, in the precision of the calculation.
    rtol
        Accuracy of the averages, relative to the largest.

    Returns
    -------
    The function, and its estimated error (zero for a closed form).

    Raises
    ------
    RgflowError
        Kinks without a closed form, or an expansion that does not reach ``rtol``.
    """
    if activation.slopes is not None:
        return _bound(partial(scale_invariant, activation.slopes), variance), 0.0
    if activation.name in _CLOSED_FORMS and not activation.parameters:
        return _bound(_CLOSED_FORMS[activation.name], variance), 0.0
    if activation.kinks:
        raise RgflowError(f"infinite width of many inputs: {activation.label} has kinks and no closed form")
    expansion = MehlerDual(activation, variance, rtol)
    error = _checked_error(activation, expansion, variance)
    if error > 10.0 * rtol:
        raise RgflowError(
            f"pair averages of {activation.label} have error {error:.1e}, above 10 rtol = {10 * rtol:.1e}"
        )
    return expansion, error


def scale_invariant(slopes: tuple[float, float], x: Block, y: Block, c: Block) -> Means:
    """sigma = m z + j |z| with m, j half sum and difference of the slopes: arcsine laws of |z| and sign(z)."""
    a_minus, a_plus = slopes
    mean, bend = (a_plus + a_minus) / 2.0, (2.0 / math.pi) * ((a_plus - a_minus) / 2.0) ** 2
    rho = _correlation(c, np.sqrt(x), np.sqrt(y))
    # the angle magnifies rounding to its square root, so that repeated inputs would not stay the same
    np.copyto(rho, np.sign(rho), where=np.abs(rho) > 1.0 - _PARALLEL * np.finfo(rho.dtype).eps)
    angle = np.arcsin(rho)
    ss = np.sqrt(1.0 - rho * rho) + rho * angle
    ss *= np.sqrt(x)[:, None]
    ss *= bend * np.sqrt(y)
    ss += mean**2 * c
    dd = mean**2 + bend * angle
    if not (x.all() and y.all()):  # sign(0) = -1: a vanishing input has sigma' = a_minus
        jump, left, right = (a_plus - a_minus) / 2.0, x[:, None] == 0, y == 0
        dd += jump**2 * (left & right) - mean * jump * (left.astype(c.dtype) + right)
    return ss, dd


def erf(x: Block, y: Block, c: Block) -> Means:
    """<erf erf> = (2/pi) arcsin(2c / sqrt((1+2x)(1+2y))), and its derivative in c."""
    left, right = 1.0 / np.sqrt(1.0 + 2.0 * x), 1.0 / np.sqrt(1.0 + 2.0 * y)
    sine = 2.0 * c * left[:, None] * right
    dd = (4.0 / math.pi) * left[:, None] * right / np.sqrt(1.0 - sine * sine)
    return 2.0 / math.pi * np.arcsin(sine), dd


def gelu(x: Block, y: Block, c: Block) -> Means:
    """<ss> = c A + q [x y + c^2 (1/(1+x) + 1/(1+y) - 1)], <s's'> = A + c q [1/(1+x) + 1/(1+y) + 1/D].

    D = (1+x)(1+y) - c^2, q = <phi phi> = 1/(2 pi sqrt D), A = <Phi Phi> = 1/4 + arcsin(c / sqrt((1+x)(1+y)))/(2 pi).
    """
    left, right = 1.0 / (1.0 + x)[:, None], 1.0 / (1.0 + y)
    inverse = left + right
    A = 0.25 + np.arcsin(c * np.sqrt(left) * np.sqrt(right)) / (2.0 * math.pi)
    D = (1.0 + x)[:, None] * (1.0 + y) - c * c
    q = 1.0 / (2.0 * math.pi * np.sqrt(D))
    ss = c * A + q * (x[:, None] * y + c * c * (inverse - 1.0))
    return ss, A + c * q * (inverse + 1.0 / D)


def sine(x: Block, y: Block, c: Block) -> Means:
    """<sin sin> = exp(-(x+y)/2) sinh c and <cos cos> = exp(-(x+y)/2) cosh c, without overflow."""
    half = (x[:, None] + y) / 2.0
    up, down = np.exp(c - half), np.exp(-c - half)
    return (up - down) / 2.0, (up + down) / 2.0


_CLOSED_FORMS: dict[str, PairForm] = {"erf": erf, "gelu": gelu, "sin": sine}


class MehlerDual:
    """<sigma_a sigma_b> = sum_k c_k(a) c_k(b) rho^k with c_k(a) = <sigma(sqrt(K_aa) u) h_k(u)>, and so for sigma'.

    h_k are the normalized Hermite polynomials. The sum runs by Horner's rule over whole blocks; for an odd or even
    sigma only every second power occurs.
    """

    def __init__(self, activation: Activation, variance: Block, rtol: float) -> None:
        self.deviation = np.sqrt(variance)
        deviation = self.deviation.astype(np.float64)
        largest = float(deviation.max()) or 1.0
        u, w = trapezoid_rule(min(_STEP, activation.quadrature_radius / (9.0 * largest)), _REACH)
        hermite = _hermite(u) * w
        widest = activation.value_and_derivative(largest * u)
        self.degrees = [_degrees_that_matter(hermite @ value, rtol) for value in widest]
        if max(degrees.stop for degrees in self.degrees) > 0.8 * _MAX_DEGREE:  # the rest must be seen to fall
            raise RgflowError(
                f"pair averages of {activation.label} at K = {largest**2:.3g} need more than {_MAX_DEGREE} "
                "powers of the correlation; choose C_b and C_W closer to criticality"
            )
        values = activation.value_and_derivative(deviation[:, None] * u)
        self.coefficients = [
            (hermite[degrees] @ value.T).astype(variance.dtype)
            for degrees, value in zip(self.degrees, values, strict=True)
        ]

    def __call__(self, rows: slice, cols: slice, c: Block) -> Means:
        rho = _correlation(c, self.deviation[rows], self.deviation[cols])
        powers = {1: rho, 2: rho * rho}
        ss, dd = (
            _horner(coefficients[:, rows], coefficients[:, cols], powers[degrees.step])
            * (rho if degrees.start == 1 else 1)
            for degrees, coefficients in zip(self.degrees, self.coefficients, strict=True)
        )
        return ss, dd


def _hermite(u: Block) -> Block:
    """Normalized Hermite polynomials h_k(u) for all degrees below the largest, (degrees, nodes)."""
    h = np.zeros((_MAX_DEGREE, len(u)))
    h[0], h[1] = 1.0, u
    for k in range(1, _MAX_DEGREE - 1):
        h[k + 1] = (u * h[k] - math.sqrt(k) * h[k - 1]) / math.sqrt(k + 1)
    return h


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


def _horner(left: Block, right: Block, variable: Block) -> Block:
    """sum_k left_k right_k variable^k."""
    total: Block = left[-1][:, None] * right[-1]
    term = np.empty_like(total)
    for a, b in zip(left[-2::-1], right[-2::-1], strict=True):
        total *= variable
        np.multiply(a[:, None], b, out=term)
        total += term
    return total


def _correlation(c: Block, left: Block, right: Block) -> Block:
    """K_ab / sqrt(K_aa K_bb) in [-1, 1]; where a variance vanishes it has no effect, and is 0."""
    inverse_left, inverse_right = (
        np.divide(1.0, side, out=np.zeros_like(side), where=side > 0.0) for side in (left, right)
    )
    rho = c * inverse_left[:, None]
    rho *= inverse_right
    np.clip(rho, -1.0, 1.0, out=rho)
    return rho


def _checked_error(activation: Activation, candidate: Dual, variance: Block) -> float:
    """Largest deviation from the averages of `Expectations` for inputs with the extreme and typical variances."""
    order = np.argsort(variance)
    chosen = order[np.linspace(0, len(order) - 1, _CHECKED_INPUTS).astype(int)]
    angles = np.linspace(0.0, math.pi, _CHECKED_INPUTS)
    deviation = np.sqrt(variance[chosen].astype(np.float64))
    K = np.cos(angles[:, None] - angles) * np.multiply.outer(deviation, deviation)
    oracle = Expectations(activation, K)
    errors = []
    for a, b in np.ndindex(K.shape):
        rows, cols = (slice(int(chosen[i]), int(chosen[i]) + 1) for i in (a, b))
        block = K[a : a + 1, b : b + 1].astype(variance.dtype)
        for mean, exact in zip(candidate(rows, cols, block), (oracle.pair(0), oracle.pair(1)), strict=True):
            errors.append(abs(mean[0, 0] - exact[a, b]) / np.abs(exact).max())
    return float(max(errors))


def _bound(form: PairForm, variance: Block) -> Dual:
    def pair_averages(rows: slice, cols: slice, c: Block) -> Means:
        return form(variance[rows], variance[cols], c)

    return pair_averages
