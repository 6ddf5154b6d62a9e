"""Which C_b and C_W a layer should have, and what is the best where criticality cannot be had."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.gaussian.single import kinked_rule
from rgflow.theory.criticality.critical import NONE, Criticality, critical
from rgflow.theory.criticality.susceptibility import chi_parallel, chi_perp, mean_square

_KERNELS = np.geomspace(0.03, 10.0, 121)  # searched where no point is critical: preactivations of order 1
_ZOO = ("tanh", "erf", "relu", "gelu", "swish", "mish", "selu")


@dataclass(frozen=True)
class Choice:
    """Variances of one layer.

    Attributes
    ----------
    C_b, C_W
        Bias and weight variance, the latter without 1/width; C_b = 0 for a layer without biases.
    remark
        Why these, where they are not critical; empty otherwise.
    """

    C_b: float
    C_W: float
    remark: str = ""


@cache
def choose(sigma: Activation, has_bias: bool = True) -> Choice:
    """Variances of a layer whose inputs come from an activation.

    Critical ones where they exist. Otherwise those that hold the signal longest: without a critical point, the fixed point
    K <= 10 without a susceptibility above 1 whose chi_perp is largest; without biases where C_b > 0 is needed, the C_W that
    keeps K*. Beside a skip connection both are to be multiplied with `skip_factor`.

    Parameters
    ----------
    sigma
        The activation in front of the layer.
    has_bias
        Whether the layer has biases.

    Raises
    ------
    RgflowError
        An activation that jumps, whose chi_perp is infinite.
    """
    point = critical(sigma)
    if point.universality_class == NONE:
        return _longest(sigma)
    if point.C_b > 0.0 and not has_bias:
        C_W = point.K_star / float(mean_square(sigma, 0, point.K_star))
        return Choice(
            0.0, C_W, f"criticality needs biases with C_b = {point.C_b:.6g}; C_W keeps K = {point.K_star:.4g}"
        )
    return Choice(point.C_b, point.C_W)


def skip_factor(skip: float, layers: int) -> float:
    """What C_b and C_W of a branch are multiplied with beside a skip connection.

    1 - skip^2, so that skip^2 + chi = 1; 1/layers where |skip| >= 1, so that the kernel grows by less than e if skip = 1.
    """
    return 1.0 - skip**2 if abs(skip) < 1.0 else 1.0 / layers


def input_scale(point: Criticality, mean_square_input: float) -> float:
    """The factor on the inputs that starts layer 1 at K*; nan where any scale is as good (K* = 0, scale invariance)."""
    if not point.K_star > 0.0:
        return math.nan
    return math.sqrt((point.K_star - point.C_b) / point.C_W / mean_square_input)


def life(sigma: Activation) -> tuple[float, Activation]:
    """Layers that a signal lives at best, and the critical activation most like sigma, if sigma has no critical point.

    The first is the correlation depth -1/ln chi_perp at the point that `choose` takes. Alike is the one with the largest
    correlation with sigma, at inputs of the variance where a sigmoid has saturated, 10.
    """
    return -1.0 / math.log(_best_point(sigma)[2]), max(
        (activation(name) for name in _ZOO), key=lambda other: abs(_likeness(sigma, other))
    )


def _longest(sigma: Activation) -> Choice:
    C_b, C_W, perp = _best_point(sigma)
    return Choice(C_b, C_W, f"no critical point; differences of inputs live {-1.0 / math.log(perp):.3g} layers at best")


@cache
def _best_point(sigma: Activation) -> tuple[float, float, float]:
    """(C_b, C_W, chi_perp) of the fixed point K <= 10 with C_b >= 0 and no susceptibility above 1 where chi_perp is largest."""
    parallel, perp = chi_parallel(sigma, 1.0, _KERNELS), chi_perp(sigma, 1.0, _KERNELS)
    largest = np.maximum(np.abs(parallel), perp)
    if not np.all(np.isfinite(largest)):
        raise RgflowError(f"activation {sigma.label} jumps: its slope, and so every gradient, is lost")
    square = mean_square(sigma, 0, _KERNELS)
    C_W = np.minimum(1.0 / largest, _KERNELS / square)
    best = int(np.argmax(C_W * perp))
    C_b = max(_KERNELS[best] - C_W[best] * square[best], 0.0)
    return float(C_b), float(C_W[best]), float(C_W[best] * perp[best])


def _likeness(sigma: Activation, other: Activation) -> float:
    """Correlation of two activations of one normal input with variance 10."""
    u, w = kinked_rule(replace(sigma, kinks=(*sigma.kinks, *other.kinks)), _KERNELS[-1])
    z = math.sqrt(_KERNELS[-1]) * u
    values = np.stack([sigma(z), other(z)])
    covariance = np.cov(values, aweights=w, ddof=0)
    return float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))
