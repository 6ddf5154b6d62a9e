"""Nodes and weights of one-dimensional rules for the standard normal distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
_SQRT_2PI = math.sqrt(2 * math.pi)


def normal_density(u: Vector) -> Vector:
    """The standard normal density."""
    return np.asarray(np.exp(-0.5 * u * u) / _SQRT_2PI)


def trapezoid_rule(step: float, reach: float, shift: float = 0.0) -> tuple[Vector, Vector]:
    """Equidistant nodes u = (i + shift) step with |u| <= reach, and weights step * phi(u).

    For a function analytic around the real axis the error falls exponentially in 1/step, with opposite sign for
    shift = 0 and 1/2: the difference of the two rules is twice the error of either.
    """
    count = math.ceil(reach / step)
    u = step * np.arange(-count + shift, count + 1, dtype=np.float64)
    return u, step * normal_density(u)


@cache
def hermite_rule(count: int) -> tuple[Vector, Vector]:
    """Gauss-Hermite nodes and weights for the standard normal: exact for polynomials up to degree 2 count - 1."""
    u, w = np.polynomial.hermite_e.hermegauss(count)
    return u, w / _SQRT_2PI


@cache
def _legendre(count: int) -> tuple[Vector, Vector]:
    x, w = np.polynomial.legendre.leggauss(count)
    return x, w


def panel_rule(edges: Iterable[float], count: int) -> tuple[Vector, Vector]:
    """Gauss-Legendre rule with `count` nodes on each panel between sorted `edges`, for the measure du."""
    corners = np.asarray(sorted(edges))
    x, w = _legendre(count)
    half = np.diff(corners)[:, None] / 2
    middle = (corners[1:] + corners[:-1])[:, None] / 2
    return (middle + half * x).ravel(), (half * w).ravel()


def piecewise_edges(breaks: Iterable[float], scale: float, reach: float, width: float) -> list[float]:
    """Panel edges on [-reach, reach]: the `breaks` inside, edges graded away from each by powers of two times `scale`.

    Panels are nowhere wider than `width`.
    """
    inside = [b for b in breaks if abs(b) < reach]
    steps = scale * 2.0 ** np.arange(max(0, math.ceil(math.log2(width / scale))) + 1)
    graded = [b + sign * step for b in inside for step in steps for sign in (-1, 1) if abs(b + sign * step) < reach]
    uniform = np.linspace(-reach, reach, math.ceil(2 * reach / width) + 1)
    return sorted({*inside, *graded, *uniform})
