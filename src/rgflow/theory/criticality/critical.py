"""Critical initializations: where neither the kernel nor the difference of two inputs grows or decays exponentially.

One input obeys K' = C_b + C_W <sigma^2>_K. Criticality asks for a fixed point K* with
chi_parallel(K*) = chi_perp(K*) = 1, which is possible in three ways: along a line of fixed points (scale-invariant
activations), at K* = 0, or at a K* > 0 with <sigma sigma''>_{K*} = 0.

Those are the critical points of plain networks; :meth:`Criticality.of` gives those of another architecture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.architectures.architecture import Architecture
from rgflow.calls import checked
from rgflow.gaussian.single import single_mean
from rgflow.theory.criticality.susceptibility import discontinuity, kernel_derivatives, mean_square, turning_points

Array = NDArray[np.float64]

SCALE_INVARIANT, VANISHING, HALF_STABLE, NONE = "scale-invariant", "K*=0", "half-stable", "none"

_SCAN = np.geomspace(1e-4, 1e3, 43)  # kernels searched for K* > 0, in units of the squared scale of sigma; 6 per decade
_RISE = np.geomspace(1e-8, 1e4, 49)  # kernels that decide whether K* = 0 is stable
_RESOLVED = 1e-11  # relative size below which a difference of two Gaussian means is rounding


@dataclass(frozen=True)
class Criticality:
    """Critical point of an activation.

    Attributes
    ----------
    activation
        The activation.
    universality_class
        "scale-invariant", "K*=0", "half-stable" or "none".
    C_b, C_W
        Critical variances (C_W without the 1/width); nan for class "none".
    K_star
        The critical kernel; nan where every kernel is fixed (scale-invariant) and for class "none".
    chi_parallel_slope, chi_perp_slope
        d chi_parallel/dK and d chi_perp/dK at K*: 0 for scale-invariant activations, 2 a_1 and b_1 in the class K*=0
        if sigma is smooth at 0 (infinite if it has a kink there), nan for class "none".
    reason
        One line: why this class.
    """

    activation: Activation
    universality_class: str
    C_b: float
    C_W: float
    K_star: float
    chi_parallel_slope: float
    chi_perp_slope: float
    reason: str

    def of(self, architecture: Architecture) -> Criticality:
        """The critical point of the layers beyond the first of an architecture, at the same K*.

        Raises
        ------
        RgflowError
            The architecture has none, see :meth:`rgflow.architectures.architecture.Architecture.critical_scales`.
        """
        share, factor = architecture.critical_scales()
        return replace(
            self,
            C_b=self.C_b * factor,
            C_W=self.C_W * factor,
            chi_parallel_slope=self.chi_parallel_slope * share,
            chi_perp_slope=self.chi_perp_slope * share,
        )


@checked
def critical(activation: str | Activation) -> Criticality:
    """Universality class and critical initialization of an activation, to about 13 digits (PDLT, chapter 5).

    If K* = 0 is unstable but fixed points K* > 0 with chi_parallel = chi_perp = 1 exist, the class is half-stable and
    the point with the smallest drift |d chi_parallel/dK| K* is taken; `half_stable_points` lists all of them.

    Parameters
    ----------
    activation
        Activation, or the name of a registered one.

    Raises
    ------
    RgflowError
        Unknown activation.

    Examples
    --------
    >>> critical("tanh").universality_class
    'K*=0'
    """
    sigma = find_activation(activation)
    jump = discontinuity(sigma)
    if jump is not None:
        return _none(sigma, f"sigma jumps at z = {jump:g}, so chi_perp is infinite")
    obstacle = _obstacle_at_zero(sigma)
    if obstacle is None:
        growth = _small_kernel_growth(sigma)
        if growth == 0:
            return _scale_invariant(sigma)
        if growth < 0:
            return _vanishing(sigma)
        obstacle = "K* = 0 is unstable because <sigma^2>_K grows faster than K"
    return _half_stable(sigma, obstacle)


def half_stable_points(activation: str | Activation) -> tuple[Criticality, ...]:
    """All critical points with K* > 0 and C_b >= 0, by increasing K*.

    They solve <sigma sigma''>_{K*} = 0, with C_W = 1/<sigma'^2>_{K*} and C_b = K* - C_W <sigma^2>_{K*}. Empty for
    scale-invariant activations, where <sigma sigma''> vanishes for every K, and where sigma jumps. Searched are kernels
    from 1e-4 to 1e3 times the square of the length over which sigma varies (its `quadrature_radius`, or 1 if infinite).
    """
    sigma = find_activation(activation)
    if discontinuity(sigma) is not None:
        return ()
    points = (_point(sigma, K_star) for K_star in _zeros_of_curvature(sigma))
    return tuple(point for point in points if point.C_b >= 0.0)


def origin_sides(sigma: Activation, order: int) -> tuple[float, float]:
    """sigma^(order) just below and just above 0; equal unless sigma has a kink there."""
    if 0.0 not in sigma.kinks:
        return (float(sigma.derivative(0.0, order)),) * 2
    below, above = sigma.sides(0.0, order)
    return below[order], above[order]


def mean_squared_slope(sigma: Activation) -> float:
    """A_2 = (sigma'(0-)^2 + sigma'(0+)^2) / 2, so that <sigma^2>_K = A_2 K for a small kernel if sigma(0) = 0."""
    below, above = origin_sides(sigma, 1)
    return (below**2 + above**2) / 2


def quartic_ratio(sigma: Activation) -> float:
    """r = A_4/A_2^2 from the slopes at 0, A_4 = (sigma'(0-)^4 + sigma'(0+)^4) / 2: 1 if they are equal, 2 for relu."""
    below, above = origin_sides(sigma, 1)
    return (below**4 + above**4) / 2 / mean_squared_slope(sigma) ** 2


def _obstacle_at_zero(sigma: Activation) -> str | None:
    """Why K* = 0 with finite C_W and C_b >= 0 is not a fixed point; None if it is."""
    value = origin_sides(sigma, 0)[1]
    if abs(value) > _RESOLVED:
        return f"sigma(0) = {value:.6g} is not 0, so K* = 0 needs C_b < 0"
    if mean_squared_slope(sigma) == 0.0:
        return "sigma(0) = sigma'(0) = 0, so K* = 0 needs an infinite C_W"
    return None


def _small_kernel_growth(sigma: Activation) -> float:
    """First resolved value of <sigma^2>_K / (A_2 K) - 1 as K rises from 0; 0 if there is none (scale invariance)."""
    A_2 = mean_squared_slope(sigma)
    departures = (float(mean_square(sigma, 0, K)) / (A_2 * K) - 1.0 for K in _RISE)
    return next((departure for departure in departures if abs(departure) > _RESOLVED), 0.0)


def _scale_invariant(sigma: Activation) -> Criticality:
    reason = "sigma is linear on both sides of 0, so every K is fixed"
    return Criticality(sigma, SCALE_INVARIANT, 0.0, 1.0 / mean_squared_slope(sigma), math.nan, 0.0, 0.0, reason)


def _vanishing(sigma: Activation) -> Criticality:
    C_W = 1.0 / mean_squared_slope(sigma)
    if 0.0 in sigma.kinks:
        slopes = (-math.inf, -math.inf)
    else:
        slopes = _susceptibility_slopes(sigma, C_W, 0.0)
    return Criticality(sigma, VANISHING, 0.0, C_W, 0.0, *slopes, "<sigma^2>_K grows slower than K, so K* = 0 is stable")


def _half_stable(sigma: Activation, obstacle: str) -> Criticality:
    points = half_stable_points(sigma)
    if not points:
        return _none(sigma, f"{obstacle}; {_obstacle_above_zero(sigma)}")
    best = min(points, key=lambda point: abs(point.chi_parallel_slope) * point.K_star)
    return replace(best, reason=f"{obstacle}; {best.reason}")


def _obstacle_above_zero(sigma: Activation) -> str:
    _, values, _ = _resolved_curvature(sigma)
    if np.all(values > 0):
        return "<sigma sigma''>_K > 0 for all K > 0, so chi_parallel > chi_perp"
    if np.all(values < 0):
        return "<sigma sigma''>_K < 0 for all K > 0, so chi_parallel < chi_perp"
    return "K* > 0 with <sigma sigma''>_{K*} = 0 needs C_b < 0"


def _resolved_curvature(sigma: Activation) -> tuple[Array, Array, Array]:
    """The scanned kernels where the sign of <sigma sigma''>_K is beyond rounding, its values there, and d/dK of them."""
    length = sigma.quadrature_radius if math.isfinite(sigma.quadrature_radius) else 1.0
    scan = length**2 * _SCAN
    rise, squared_slope, second, first = kernel_derivatives(sigma, ((0, 1), (1, 0), (0, 2), (1, 1)), scan)
    curvature = rise - squared_slope
    resolved = np.abs(curvature) > _RESOLVED * squared_slope
    return scan[resolved], curvature[resolved], (second - first)[resolved]


def _curvature(sigma: Activation, K: float) -> float:
    """<sigma sigma''>_K = (chi_parallel - chi_perp) / C_W."""
    return float(single_mean(sigma, (0, 2), K))


def _zeros_of_curvature(sigma: Activation) -> list[float]:
    K, values = _with_turning_points(sigma, *_resolved_curvature(sigma))
    changes = np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:]))
    return [_bracketed_zero(sigma, K[i], K[i + 1]) for i in changes]


def _with_turning_points(sigma: Activation, K: Array, values: Array, slope: Array) -> tuple[Array, Array]:
    """Adds the kernels where the curvature turns back, between two of one sign: two zeros may hide there."""
    sign, one_sign = np.sign(values), values[:-1] * values[1:] > 0.0
    toward = sign * slope
    turns = np.flatnonzero(one_sign & (toward[:-1] < 0.0) & (toward[1:] > 0.0))
    points, which = turning_points(
        lambda k, these: sign[turns[these]] * _curvature_slope(sigma, k), K[turns], K[turns + 1]
    )
    at = turns[which] + 1
    return np.insert(K, at, points), np.insert(values, at, [_curvature(sigma, k) for k in points])


def _curvature_slope(sigma: Activation, K: Array) -> Array:
    """d<sigma sigma''>_K/dK."""
    second, first = kernel_derivatives(sigma, ((0, 2), (1, 1)), K)
    return np.asarray(second - first)


def _bracketed_zero(sigma: Activation, low: float, high: float) -> float:
    """Zero of <sigma sigma''>_K between kernels where its signs differ: Newton, safeguarded by bisection."""
    rising = _curvature(sigma, high) > 0.0
    K = math.sqrt(low * high)
    for _ in range(60):
        value = _curvature(sigma, K)
        low, high = (low, K) if (value > 0.0) == rising else (K, high)
        slope = float(_curvature_slope(sigma, np.array([K]))[0])
        step = -value / slope if slope else math.inf
        if abs(step) <= 1e-14 * K:
            break
        K = K + step if low < K + step < high else (low + high) / 2
    return K


def _point(sigma: Activation, K_star: float) -> Criticality:
    C_W = 1.0 / float(mean_square(sigma, 1, K_star))
    C_b = K_star - C_W * float(mean_square(sigma, 0, K_star))
    slopes = _susceptibility_slopes(sigma, C_W, K_star)
    return Criticality(sigma, HALF_STABLE, C_b, C_W, K_star, *slopes, f"<sigma sigma''> = 0 at K* = {K_star:.6g}")


def _susceptibility_slopes(sigma: Activation, C_W: float, K: float) -> tuple[float, float]:
    return C_W * float(mean_square(sigma, 0, K, 2)), C_W * float(mean_square(sigma, 1, K, 1))


def _none(sigma: Activation, reason: str) -> Criticality:
    return Criticality(sigma, NONE, math.nan, math.nan, math.nan, math.nan, math.nan, reason)
