"""The activations known by name: their derivative towers, and in :data:`BUILDERS` what else theory needs of each.

A new one is its tower and its entry there.

Each function returns the list [sigma(z), sigma'(z), ..., sigma^(order)(z)] elementwise, for a numpy array or a torch
tensor z. Derivatives of a kinked function are the regular part, at the kink itself that of one of its sides.
Formulas are arranged to neither overflow nor cancel at large |z|.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from rgflow.activations import in_place
from rgflow.activations.activation import Tower
from rgflow.activations.arrays import Array, is_tensor, namespace
from rgflow.activations.jets import compose, power_tower, product, rescale
from rgflow.errors import RgflowError

_SQRT_2PI = math.sqrt(2 * math.pi)
_FAR = 40.0  # exp(-z^2/2) underflows here: clipping keeps Hermite polynomials finite where their weight is zero
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _step(condition: Array, z: Array) -> Array:
    """The boolean `condition` as numbers of the type of z."""
    return condition.to(z.dtype) if is_tensor(z) else condition.astype(z.dtype)


def perceptron(z: Array, order: int) -> list[Array]:
    """Heaviside step, 1 for z >= 0."""
    return [_step(z >= 0, z), *(namespace(z).zeros_like(z) for _ in range(order))]


def scale_invariant(z: Array, order: int, minus: float, plus: float) -> list[Array]:
    """Slope `plus` for z > 0 and `minus` for z < 0."""
    xp = namespace(z)
    slope = minus + (plus - minus) * _step(z > 0, z)
    return [slope * z, slope, *(xp.zeros_like(z) for _ in range(order - 1))][: order + 1]


def linear(z: Array, order: int) -> list[Array]:
    return power_tower(z, 1, order)


def relu(z: Array, order: int) -> list[Array]:
    """max(z, 0); its slope is the sign of that, ten times cheaper in torch than a comparison turned into numbers."""
    xp = namespace(z)
    value = xp.clip(z, 0.0, math.inf)
    return [value, xp.sign(value), *(xp.zeros_like(z) for _ in range(order - 1))][: order + 1]


def leaky_relu(z: Array, order: int, slope: float) -> list[Array]:
    return scale_invariant(z, order, slope, 1.0)


def monomial(z: Array, order: int, power: int) -> list[Array]:
    return power_tower(z, power, order)


def hard_tanh(z: Array, order: int) -> list[Array]:
    """z clipped to [-1, 1]."""
    xp = namespace(z)
    inside = _step(xp.abs(z) < 1, z)
    return [xp.clip(z, -1.0, 1.0), inside, *(xp.zeros_like(z) for _ in range(order - 1))][: order + 1]


def elu(z: Array, order: int, alpha: float) -> list[Array]:
    """z for z > 0, alpha (e^z - 1) for z < 0."""
    xp = namespace(z)
    positive, below = z > 0, xp.clip(z, -math.inf, 0.0)
    decay = alpha * xp.exp(below)
    value = xp.where(positive, z, alpha * xp.expm1(below))
    slope = xp.where(positive, xp.ones_like(z), decay)
    curvature = xp.where(positive, xp.zeros_like(z), decay)
    return [value, slope, *(curvature for _ in range(order - 1))][: order + 1]


def selu(z: Array, order: int) -> list[Array]:
    return [SELU_SCALE * part for part in elu(z, order, SELU_ALPHA)]


def sin(z: Array, order: int) -> list[Array]:
    xp = namespace(z)
    s, c = xp.sin(z), xp.cos(z)
    return [(s, c, -s, -c)[p % 4] for p in range(order + 1)]


def cos(z: Array, order: int) -> list[Array]:
    return sin(z, order + 1)[1:]


def snake(z: Array, order: int, frequency: float) -> list[Array]:
    """z + sin^2(frequency z)/frequency, the periodic activation with a linear trend."""
    s = namespace(z).sin(frequency * z)
    oscillation = [part / (2 * frequency) for part in rescale(cos, z, order, 2 * frequency)[1:]]
    trend = power_tower(z, 1, order)
    return [z + s * s / frequency, *(t - part for t, part in zip(trend[1:], oscillation, strict=True))]


@cache
def _tanh_polynomial(p: int) -> tuple[float, ...]:
    """Coefficients of Q_p with tanh^(p) = sech^2 Q_p(tanh): Q_1 = 1, Q_{p+1}(t) = (1 - t^2) Q_p'(t) - 2 t Q_p(t)."""
    if p == 1:
        return (1.0,)
    previous = np.polynomial.Polynomial(_tanh_polynomial(p - 1))
    t = np.polynomial.Polynomial([0.0, 1.0])
    return tuple(((1 - t * t) * previous.deriv() - 2 * t * previous).coef)


def _horner(coefficients: tuple[float, ...], t: Array) -> Array:
    result = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        result = result * t + c
    return result


def tanh(z: Array, order: int) -> list[Array]:
    xp = namespace(z)
    t = xp.tanh(z)
    if order == 0:
        return [t]
    decay = xp.exp(-2 * xp.abs(z))
    sech2 = 4 * decay / ((1 + decay) * (1 + decay))  # 1 - t^2 would cancel at large |z|
    return [t, sech2, *(sech2 * _horner(_tanh_polynomial(p), t) for p in range(2, order + 1))]


def tanh_fast(z: Array) -> tuple[Array, Array]:
    """tanh and its derivative to absolute (not relative) rounding accuracy: one transcendental function."""
    t = namespace(z).tanh(z)
    return t, 1 - t * t


def sigmoid(z: Array, order: int) -> list[Array]:
    derivatives = rescale(tanh, z, order, 0.5)[1:] if order else []
    return [namespace(z).expit(z), *(part / 2 for part in derivatives)]


def softplus(z: Array, order: int, beta: float = 1.0) -> list[Array]:
    """log(1 + e^(beta z)) / beta."""
    xp = namespace(z)
    value = xp.clip(z, 0.0, math.inf) + xp.log1p(xp.exp(-xp.abs(beta * z))) / beta
    return [value, *(rescale(sigmoid, z, order - 1, beta) if order else ())]


def swish(z: Array, order: int, beta: float) -> list[Array]:
    """z sigmoid(beta z)."""
    return product(power_tower(z, 1, order), rescale(sigmoid, z, order, beta))


def swish_fast(z: Array, beta: float) -> tuple[Array, Array]:
    """swish and its derivative with one transcendental function."""
    if is_tensor(z) and beta == 1.0:
        return _torch_kernels("silu", z)
    s = namespace(z).expit(beta * z)
    value = z * s
    return value, s + beta * value * (1 - s)


def mish(z: Array, order: int) -> list[Array]:
    """z tanh(softplus(z))."""
    inner = softplus(z, order)
    return product(power_tower(z, 1, order), compose(tanh(inner[0], order), inner))


def gaussian(z: Array, order: int) -> list[Array]:
    """The density phi = exp(-z^2/2)/sqrt(2 pi) and its derivatives (-1)^p He_p phi."""
    xp = namespace(z)
    near = xp.clip(z, -_FAR, _FAR)
    tower = [xp.exp(-0.5 * near * near) / _SQRT_2PI]
    for p in range(order):  # phi^(p+1) = -z phi^(p) - p phi^(p-1)
        tower.append(-near * tower[p] - (p * tower[p - 1] if p else 0.0))
    return tower


def normal_distribution(z: Array, order: int) -> list[Array]:
    """Phi(z) and its derivatives."""
    return [namespace(z).ndtr(z), *(gaussian(z, order - 1) if order else ())]


def gelu(z: Array, order: int) -> list[Array]:
    """z Phi(z)."""
    return product(power_tower(z, 1, order), normal_distribution(z, order))


def gelu_fast(z: Array) -> tuple[Array, Array]:
    """gelu and its derivative to absolute rounding accuracy: Phi from erf, no recurrence."""
    if is_tensor(z):
        return _torch_kernels("gelu", z)
    xp = namespace(z)
    cdf = 0.5 + 0.5 * xp.erf(z * math.sqrt(0.5))
    return z * cdf, cdf + z * xp.exp(-0.5 * z * z) / _SQRT_2PI


def _torch_kernels(name: str, z: Array) -> tuple[Array, Array]:
    """An activation and its derivative by the kernels that torch trains with, one pass over memory each."""
    import torch

    value = getattr(torch.nn.functional, name)(z)
    return value, getattr(torch.ops.aten, f"{name}_backward")(torch.ones_like(z), z)


def erf(z: Array, order: int) -> list[Array]:
    """erf(z) = 2 Phi(sqrt(2) z) - 1."""
    derivatives = rescale(normal_distribution, z, order, math.sqrt(2))[1:] if order else []
    return [namespace(z).erf(z), *(2 * part for part in derivatives)]


def _analytic(tower: Tower, radius: float, **properties: Any) -> dict[str, Any]:
    return {"tower": tower, "analytic_radius": radius, "quadrature_radius": radius, **properties}


def _entire(tower: Tower, length: float, **properties: Any) -> dict[str, Any]:
    return {"tower": tower, "quadrature_radius": length, **properties}


def _kinked(tower: Tower, *kinks: float, **properties: Any) -> dict[str, Any]:
    return {"tower": tower, "kinks": kinks, **properties}


def _leaky_relu(slope: float = 0.01) -> dict[str, Any]:
    kinks = () if slope == 1 else (0.0,)
    return _kinked(partial(leaky_relu, slope=slope), *kinks, slopes=(slope, 1.0))


def _monomial(power: float = 2) -> dict[str, Any]:
    if power != int(power) or power < 1:
        raise RgflowError(f"monomial: power = {power!r}; allowed: an integer >= 1")
    return _entire(partial(monomial, power=int(power)), math.inf, slopes=(1.0, 1.0) if power == 1 else None)


def _softplus(beta: float = 1.0) -> dict[str, Any]:
    _require_positive("softplus", "beta", beta)
    return _analytic(partial(softplus, beta=beta), math.pi / beta)


def _swish(beta: float = 1.0) -> dict[str, Any]:
    _require_positive("swish", "beta", beta)
    fast = partial(swish_fast, beta=beta)
    return _analytic(partial(swish, beta=beta), math.pi / beta, fast=fast)


def _elu(alpha: float = 1.0) -> dict[str, Any]:
    return _kinked(partial(elu, alpha=alpha), 0.0)


def _snake(frequency: float = 1.0) -> dict[str, Any]:
    _require_positive("snake", "frequency", frequency)
    return _entire(partial(snake, frequency=frequency), 2 / frequency)


def _require_positive(name: str, key: str, value: float) -> None:
    if not value > 0:
        raise RgflowError(f"{name}: {key} = {value!r}; allowed: > 0")


# what makes an activation of each name: keyword parameters in, attributes of Activation out
BUILDERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "perceptron": lambda: _kinked(perceptron, 0.0),
    "linear": lambda: _entire(linear, math.inf, slopes=(1.0, 1.0)),
    "relu": lambda: _kinked(relu, 0.0, slopes=(0.0, 1.0), in_place=in_place.RELU),
    "leaky_relu": _leaky_relu,
    "tanh": lambda: _analytic(tanh, math.pi / 2, fast=tanh_fast, in_place=in_place.TANH),
    "sin": lambda: _entire(sin, 4.0),
    "cos": lambda: _entire(cos, 4.0),
    "sigmoid": lambda: _analytic(sigmoid, math.pi, in_place=in_place.SIGMOID),
    "softplus": _softplus,
    "swish": _swish,
    "gelu": lambda: _entire(gelu, 2.6, fast=gelu_fast),
    "erf": lambda: _entire(erf, 1.85),
    "monomial": _monomial,
    "elu": _elu,
    "selu": lambda: _kinked(selu, 0.0),
    "mish": lambda: _analytic(mish, 0.75 * math.pi),
    "hard_tanh": lambda: _kinked(hard_tanh, -1.0, 1.0),
    "snake": _snake,
}
