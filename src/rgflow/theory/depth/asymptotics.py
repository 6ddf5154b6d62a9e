"""Universality: power laws in depth at criticality, and the learning rates that make every layer count.

In the class K*=0 all of them follow from the growth of a small kernel,

    C_W <sigma^2>_K = K + a K^(1+s) + ...,    chi_perp = 1 + b K^s + ...,

with s = 1 (a = a_1, b = b_1) unless sigma has curvature of different signs on the two sides of a kink at 0, which
gives s = 1/2. Then K ~ l^-p_0 with p_0 = 1/s, and K[2] ~ l^-p_perp with p_perp = b / (s a).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.single import single_mean
from rgflow.theory.criticality.critical import (
    HALF_STABLE,
    NONE,
    SCALE_INVARIANT,
    VANISHING,
    Criticality,
    critical,
    mean_squared_slope,
    origin_sides,
    quartic_ratio,
)
from rgflow.theory.criticality.susceptibility import mean_square

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DepthLaw:
    """coefficient * l^exponent * (1 + logarithm * ln(l)/l) at large depth l.

    The coefficient is nan where it depends on the first layers; a quantity that vanishes has coefficient 0.
    """

    coefficient: float
    exponent: float
    logarithm: float = 0.0

    def __call__(self, layer: ArrayLike) -> Array:
        """Value at the given layers."""
        l = np.asarray(layer, dtype=np.float64)  # noqa: E741 (the field's name for depth)
        return self.coefficient * l**self.exponent * (1.0 + self.logarithm * np.log(l) / l)


@dataclass(frozen=True)
class SmallKernel:
    """Growth of a small kernel: C_W <sigma^2>_K = K + a K^(1+s) + a_2 K^(1+2s), chi_perp = 1 + b K^s.

    `a_2` is nan unless sigma is smooth at 0. If sigma is linear around 0, all corrections are exponentially small:
    a = b = 0, and K falls logarithmically.
    """

    s: float
    a: float
    b: float
    a_2: float

    @property
    def p_0(self) -> float:
        """Exponent of the kernel, K ~ l^-p_0."""
        return 1.0 / self.s if self.a else 0.0

    @property
    def p_perp(self) -> float:
        """Exponent of the difference of two inputs, K[2] ~ l^-p_perp."""
        return self.b / (self.s * self.a) if self.a else 0.0

    @property
    def kernel(self) -> DepthLaw:
        """K = (-s a l)^(-1/s), with its logarithm (1 - a_2/a^2) for smooth sigma."""
        logarithm = self.a_2 / self.a**2 - 1.0 if math.isfinite(self.a_2) else 0.0
        return DepthLaw((-self.s * self.a) ** (-self.p_0), -self.p_0, logarithm)


def small_kernel(activation: str | Activation) -> SmallKernel:
    """Growth of a small kernel of an activation in the class K*=0, from its derivatives on both sides of 0.

    With sigma = sum_p sigma_p z^p/p! on each side, averages over the two sides and A_2 = <sigma_1^2>:
    a_1 = <sigma_1 sigma_3 + 3/4 sigma_2^2>/A_2, b_1 = <sigma_1 sigma_3 + sigma_2^2>/A_2, and, if
    sigma_1 sigma_2 differs between the sides, a = b = sqrt(2/pi) (difference)/A_2 with s = 1/2.

    Raises
    ------
    RgflowError
        The activation is not in the class K*=0, or its lowest corrections cancel, so that no such power law exists.
    """
    point = critical(activation)
    if point.universality_class != VANISHING:
        raise RgflowError(
            f"activation {point.activation.label}: class {point.universality_class}, allowed: {VANISHING}"
        )
    return _small_kernel(point.activation)


def equivalence_learning_rates(
    activation: str | Activation | Criticality, depth: int, lambda_b: float = 1.0, lambda_W: float = 1.0
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Learning rates for which biases and weights of every layer contribute alike to an NTK of order 1 (equivalence).

    lambda_b^(l) = lambda_b l^-p_perp L^(p_perp - 1) and lambda_W^(l) = lambda_W l^(p_0 - p_perp) L^(p_perp - 1):
    1/L in every layer for scale-invariant and half-stable activations (p_0 = p_perp = 0), 1/l and 1 for odd ones in the
    class K*=0 (p_0 = p_perp = 1).

    Parameters
    ----------
    activation
        Activation, name of a registered one, or its critical point.
    depth
        Number L of layers with parameters.
    lambda_b, lambda_W
        Depth-independent rates.

    Returns
    -------
    (lambda_b, lambda_W), each one number per layer 1..L, as `Network` takes them.

    Raises
    ------
    RgflowError
        Activation without a critical point, or `depth` < 1.
    """
    if depth < 1:
        raise RgflowError(f"depth = {depth}; at least one layer is needed")
    p_0, p_perp = kernel_exponents(activation)
    layers = np.arange(1.0, depth + 1.0)
    bias = lambda_b * layers**-p_perp * depth ** (p_perp - 1.0)
    weight = lambda_W * layers ** (p_0 - p_perp) * depth ** (p_perp - 1.0)
    return tuple(bias.tolist()), tuple(weight.tolist())


def kernel_exponents(activation: str | Activation | Criticality) -> tuple[float, float]:
    """Exponents (p_0, p_perp) of the critical kernel, K ~ l^-p_0, and of the difference of inputs, K[2] ~ l^-p_perp.

    (0, 0) for scale-invariant activations and for half-stable ones tuned to K = K*.

    Raises
    ------
    RgflowError
        Activation without a critical point.
    """
    point = _critical_point(activation)
    if point.universality_class in (SCALE_INVARIANT, HALF_STABLE):
        return 0.0, 0.0
    small = _small_kernel(point.activation)
    return small.p_0, small.p_perp


def predicted_laws(
    activation: str | Activation | Criticality, depth: int, lambda_b: float = 1.0, lambda_W: float = 1.0, K: float = 1.0
) -> dict[str, DepthLaw]:
    """Large-depth laws of a single input at criticality, equal widths, with the equivalence learning rates.

    Parameters
    ----------
    activation
        Activation, name of a registered one, or its critical point.
    depth, lambda_b, lambda_W
        As for `equivalence_learning_rates`.
    K
        The kernel of a scale-invariant activation, constant in depth; not used in the other classes, where the kernel
        tends to K* = 0 or is tuned to K*.

    Returns
    -------
    Laws by name: "K", the dimensionless ratios "V/K^2", "G1/K", "F/(K Theta)", "B/Theta^2", "D/(K Theta)" and
    "A/Theta^2" (tensors without 1/n), "Theta", and "K1", "K2": differences of two nearby inputs in the midpoint basis,
    the latter for K1 = 0.

    Raises
    ------
    RgflowError
        Activation without a critical point, or whose kernel falls slower than a power.
    """
    point = _critical_point(activation)
    if point.universality_class == SCALE_INVARIANT:
        return _scale_invariant_laws(point, lambda_b / depth, lambda_W / depth, K)
    if point.universality_class == HALF_STABLE:
        return _half_stable_laws(point, lambda_b / depth, lambda_W / depth)
    return _vanishing_laws(point, depth, lambda_b, lambda_W)


def _critical_point(activation: str | Activation | Criticality) -> Criticality:
    point = activation if isinstance(activation, Criticality) else critical(activation)
    if point.universality_class == NONE:
        raise RgflowError(f"activation {point.activation.label} has no critical point: {point.reason}")
    return point


def _small_kernel(sigma: Activation) -> SmallKernel:
    s1, s2, s3 = (np.array(origin_sides(sigma, order)) for order in (1, 2, 3))
    A_2 = mean_squared_slope(sigma)
    tilt = math.sqrt(2 / math.pi) * float(np.diff(s1 * s2)[0]) / A_2
    if abs(tilt) > 1e-9:
        return SmallKernel(0.5, tilt, tilt, math.nan)
    a_1 = float(np.mean(s1 * s3 + 0.75 * s2**2)) / A_2
    b_1 = float(np.mean(s1 * s3 + s2**2)) / A_2
    if abs(a_1) < 1e-9 and (abs(b_1) >= 1e-9 or not sigma.kinks):
        raise RgflowError(f"activation {sigma.label}: a_1 = 0, so the kernel has no power law of a known class")
    return SmallKernel(1.0, a_1, b_1, _second_growth(sigma))


def _second_growth(sigma: Activation) -> float:
    """a_2 = [sigma_1 sigma_5/4 + 5/8 sigma_2 sigma_4 + 5/12 sigma_3^2]/sigma_1^2."""
    if sigma.taylor is None:
        return math.nan
    _, s1, s2, s3, s4, s5 = sigma.taylor
    return (s1 * s5 / 4 + 5 * s2 * s4 / 8 + 5 * s3**2 / 12) / s1**2


def _scale_invariant_laws(point: Criticality, lambda_b: float, lambda_W: float, K: float) -> dict[str, DepthLaw]:
    r = quartic_ratio(point.activation)
    w = lambda_W * mean_squared_slope(point.activation) * K
    Theta, v = lambda_b + w, 3 * r - 1
    return {
        "K": DepthLaw(K, 0.0),
        "K1": DepthLaw(math.nan, 0.0),
        "K2": DepthLaw(math.nan, 0.0),
        "V/K^2": DepthLaw(v, 1.0),
        "G1/K": DepthLaw(0.0, 1.0),
        "Theta": DepthLaw(Theta, 1.0),
        "F/(K Theta)": DepthLaw(r / 2, 1.0),
        "B/Theta^2": DepthLaw(r / 3, 1.0),
        "D/(K Theta)": DepthLaw((w * v / Theta + r - 1) / 2, 1.0),
        "A/Theta^2": DepthLaw((w**2 * v + w * (r - 1) * Theta + (r - 1) * Theta**2) / (3 * Theta**2), 1.0),
    }


def _vanishing_laws(point: Criticality, depth: int, lambda_b: float, lambda_W: float) -> dict[str, DepthLaw]:
    small = _small_kernel(point.activation)
    if not small.a:
        raise RgflowError(f"activation {point.activation.label}: K falls like 1/ln(l), so there is no power law")
    s, p_0, p_perp, r = small.s, small.p_0, small.p_perp, quartic_ratio(point.activation)
    v = 3 * r - 1
    w = lambda_W * small.kernel.coefficient / point.C_W  # lambda_W <sigma^2>_K in units of the decay of Theta
    Theta = lambda_b + w
    kappa = w / Theta - s * p_perp
    D = (r - 1) / 3 + v * kappa / 9
    return {
        "K": small.kernel,
        "K1": DepthLaw(math.nan, -p_0 - 1.0),
        "K2": DepthLaw(math.nan, -p_perp),
        "V/K^2": DepthLaw(v / 3, 1.0),
        "G1/K": DepthLaw(-(1 + s) * v / 12, 1.0),
        "Theta": DepthLaw(Theta * depth ** (p_perp - 1.0), 1.0 - p_perp),
        "F/(K Theta)": DepthLaw(r / (p_0 + 4 - p_perp), 1.0),
        "B/Theta^2": DepthLaw(r / 3, 1.0),
        "D/(K Theta)": DepthLaw(D, 1.0),
        "A/Theta^2": DepthLaw((r - 1 + 2 * kappa * D) / 3, 1.0),
    }


def _half_stable_laws(point: Criticality, lambda_b: float, lambda_W: float) -> dict[str, DepthLaw]:
    sigma, C_W, K = point.activation, point.C_W, point.K_star
    s2 = float(mean_square(sigma, 0, K))
    v = C_W**2 * (_mean(sigma, (0, 0, 0, 0), K) - s2**2)
    slope, slope_perp = point.chi_parallel_slope, point.chi_perp_slope
    return {
        "K": DepthLaw(K, 0.0),
        "K1": DepthLaw(math.nan, 0.0),
        "K2": DepthLaw(math.nan, 0.0),
        "V/K^2": DepthLaw(v / K**2, 1.0),
        "G1/K": DepthLaw(slope * v / (4 * K), 2.0),
        "Theta": DepthLaw(lambda_b + lambda_W * s2, 1.0),
        "F/(K Theta)": DepthLaw(C_W**2 * _mean(sigma, (0, 0, 1, 1), K) / (2 * K), 1.0),
        "B/Theta^2": DepthLaw(C_W**2 * _mean(sigma, (1, 1, 1, 1), K) / 3, 1.0),
        "D/(K Theta)": DepthLaw(slope_perp * v / (3 * K), 2.0),
        "A/Theta^2": DepthLaw(2 * slope_perp**2 * v / 15, 3.0),
    }


def _mean(sigma: Activation, orders: tuple[int, ...], K: float) -> float:
    return float(single_mean(sigma, orders, K))
