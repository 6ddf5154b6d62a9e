"""What theory needs of an activation, checked: derivatives, kinks, smoothness, growth, critical point."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import MAX_ORDER, Activation
from rgflow.activations.detect import find_kinks, find_radius
from rgflow.activations.registry import activation as find_activation
from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.network import ActivationLike
from rgflow.theory.criticality.critical import NONE, Criticality, critical

Array = NDArray[np.float64]

_POINTS = np.linspace(-4.0, 4.0, 33) + 0.013
_STENCIL = ((-2.0, 1 / 12), (-1.0, -2 / 3), (1.0, 2 / 3), (2.0, -1 / 12))  # f' to fourth order in the step
_STEP = 1e-3  # in units of the radius, if that is below 1
_LARGEST_ERROR = 1e-6
_FAR = np.geomspace(1e2, 1e4, 41)  # where growth is read off, as that of the largest value so far
_BOUNDED = 0.05  # power below which sigma is called bounded
_COARSE = 2.0  # a declared radius this many times the one found is refused


@dataclass(frozen=True)
class ActivationCheck:
    """The findings on one activation; prints as a table, with a line for whatever has to be mended.

    Attributes
    ----------
    activation
        The activation.
    derivative_error
        Largest deviation of sigma', ..., sigma^(5) from differences of the derivative before, relative to the largest.
    kinks, kinks_found
        Points where a derivative jumps: those that quadrature splits at, and those found numerically (derivatives up to the
        third).
    radius, radius_found
        The length that sets the step of quadrature: the one used, and the one found numerically.
    growth
        (p_minus, p_plus): sigma grows like |z|^p for z -> -inf and +inf; inf if faster than any power, 0 if bounded.
    criticality
        Universality class and critical initialization; None if it cannot be had.
    remedies
        What has to be done, one line each; empty if all is well.
    """

    activation: Activation
    derivative_error: float
    kinks: tuple[float, ...]
    kinks_found: tuple[float, ...]
    radius: float
    radius_found: float
    growth: tuple[float, float]
    criticality: Criticality | None
    remedies: tuple[str, ...]

    @property
    def smooth(self) -> bool:
        """Whether sigma has no kinks, declared or found."""
        return not (self.kinks or self.kinks_found)

    @property
    def passed(self) -> bool:
        """Whether nothing has to be mended."""
        return not self.remedies

    def __str__(self) -> str:
        return "\n".join([f"activation {self.activation.label}", *map("  {0[0]:<13}{0[1]}".format, self._rows())])

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "derivatives", f"up to order {MAX_ORDER}, within {self.derivative_error:.1e} of differences"
        yield "smooth", "yes" if self.smooth else "no"
        yield "kinks", f"{_points(self.kinks)} (found: {_points(self.kinks_found)})"
        yield "radius", f"{self.radius:.3g} (found: {self.radius_found:.3g})"
        yield "growth", f"{_power(self.growth[0])} to the left, {_power(self.growth[1])} to the right"
        yield from _critical_rows(self.criticality)
        yield "verdict", "ready" if self.passed else "to be mended"
        for remedy in self.remedies:
            yield "", f"- {remedy}"


@checked
def check_activation(activation: ActivationLike) -> ActivationCheck:
    """Check whether theory can use an activation, such as one of your own.

    Parameters
    ----------
    activation
        What :func:`rgflow.activation` takes: a name, ``"path/to/file.py:function"``, a torch function or module.

    Returns
    -------
    The findings; ``print`` shows them.

    Raises
    ------
    RgflowError
        As :func:`rgflow.activation`.
    """
    sigma = find_activation(activation)
    found = find_kinks(sigma.tower)
    radius_found = find_radius(sigma.tower, found)
    error = _derivative_error(sigma, {*sigma.kinks, *found}, _STEP * min(1.0, radius_found))
    growth = (_growth(sigma, -1.0), _growth(sigma, 1.0))
    remedies = tuple(_remedies(sigma, found, radius_found, error, growth))
    point = None if remedies else _critical(sigma)
    return ActivationCheck(
        sigma, error, sigma.kinks, found, sigma.quadrature_radius, radius_found, growth, point, remedies
    )


def _derivative_error(sigma: Activation, kinks: set[float], step: float) -> float:
    """Away from kinks, where differences mean nothing."""
    far = [all(abs(z - kink) > 4 * step for kink in kinks) for z in _POINTS]
    z = _POINTS[far]
    tower = sigma.derivatives(z, MAX_ORDER)
    shifted = [(weight, sigma.derivatives(z + shift * step, MAX_ORDER)) for shift, weight in _STENCIL]
    errors = []
    for p in range(1, MAX_ORDER + 1):
        difference = sum(weight * values[p - 1] for weight, values in shifted) / step
        scale = max(np.abs(tower[p]).max(), np.abs(tower[p - 1]).max(), np.finfo(float).tiny)
        errors.append(float(np.abs(tower[p] - difference).max() / scale))
    return max(errors)


def _growth(sigma: Activation, side: float) -> float:
    with np.errstate(all="ignore"):
        largest = np.maximum.accumulate(np.abs(sigma(side * _FAR)))
    if not np.isfinite(largest).all():
        return math.inf
    near, far = largest[len(_FAR) // 2], largest[-1]
    return float(2 * np.log(far / near) / np.log(_FAR[-1] / _FAR[0])) if near else 0.0


def _remedies(
    sigma: Activation, found: tuple[float, ...], radius_found: float, error: float, growth: tuple[float, float]
) -> Iterator[str]:
    missing = [kink for kink in found if all(abs(kink - own) > 1e-9 for own in sigma.kinks)]
    if missing:
        yield f"a derivative jumps at {_points(tuple(missing))}: declare it, function.kinks = {(*sigma.kinks, *missing)}"
    if sigma.function is not None and sigma.quadrature_radius > _COARSE * radius_found:
        yield f"varies faster than declared: set function.analytic_radius = {radius_found:.3g}"
    if not error <= _LARGEST_ERROR:
        yield "derivatives are not those of the values: use torch's functions throughout, without detach or item"
    if math.inf in growth:
        yield "grows faster than any power: Gaussian averages may not exist; bound it, for example with torch.clamp"


def _critical(sigma: Activation) -> Criticality | None:
    try:
        return critical(sigma)
    except RgflowError:
        return None


def _critical_rows(point: Criticality | None) -> Iterator[tuple[str, str]]:
    if point is None:
        yield "class", "not known"
        return
    yield "class", f"{point.universality_class}: {point.reason}"
    if point.universality_class != NONE:
        K_star = "any" if math.isnan(point.K_star) else f"{point.K_star:.10g}"
        yield "critical", f"C_b = {point.C_b:.10g}, C_W = {point.C_W:.10g}, K* = {K_star}"


def _points(kinks: tuple[float, ...]) -> str:
    return ", ".join(f"{kink:g}" for kink in kinks) or "none"


def _power(p: float) -> str:
    if math.isinf(p):
        return "faster than any power"
    return "bounded" if p < _BOUNDED else f"like |z|^{p:.3g}"
