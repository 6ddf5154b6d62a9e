"""Where a function is not analytic, and how fine a quadrature of it must be: found from its values and derivatives.

A kink shows as a difference between two points that the derivatives at the points do not explain, however near they are.
The radius is measured by what it is for: the step of a quadrature rule, tried out on the products of four factors that
theory averages.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from rgflow.activations.activation import Tower

Vector = npt.NDArray[np.float64]

_JUMP_ORDERS = 4  # jumps are looked for in sigma, ..., sigma'''
_HALVINGS = 8  # after which the unexplained difference of a smooth function has fallen by 8^8
_RESOLVED = 1e-7  # relative size of a jump that rounding of derivatives cannot feign
_SAME = 1e-12  # two kinks nearer than this are one

_SPREADS, _REACH = (1.0, 4.0), 9.0  # preactivations on which steps are tried, and how many standard deviations of them
_STEPS_PER_RADIUS, _LARGEST_STEP = 9.0, 0.4  # of the quadrature rules that take the radius
_MARGIN = 1.7  # a rule with the radius itself has this many times the digits of the trial
_CONVERGED = 1e-12
_RADII = np.geomspace(8.0, 2.0**-7, 41)
_WIDTHS = 2.0 ** -np.arange(7.0)
_NODES = 24  # of the panels between kinks that take the radius


def find_kinks(tower: Tower) -> tuple[float, ...]:
    """Points between -1000 and 1000 where sigma or one of its first three derivatives jumps.

    Parameters
    ----------
    tower
        The derivatives, (z, order) -> [sigma(z), ..., sigma^(order)(z)].
    """
    edges = _scanned()
    kinks: list[float] = []
    for p in range(_JUMP_ORDERS):
        values = _values(tower, p, edges)
        first = _unexplained(values, edges)
        near = first > _RESOLVED * np.nanmax(np.abs(values[0]))
        below, above, first = edges[:-1][near], edges[1:][near], first[near]
        for halvings in range(64):
            if not below.size:
                break
            below, above, last = _halved(tower, p, below, above)
            if halvings >= _HALVINGS:  # what falls is smooth, or a jump of a higher derivative
                stays = last > 0.1 * first
                below, above, first = below[stays], above[stays], first[stays]
        kinks += map(_rounded, below.tolist(), above.tolist())
    return _distinct(sorted(kinks))


def find_slopes(tower: Tower, kinks: tuple[float, ...]) -> tuple[float, float] | None:
    """(a_minus, a_plus) of a function with sigma(z) = a_plus z for z > 0 and a_minus z for z < 0, else None."""
    if set(kinks) - {0.0}:
        return None
    z = _scanned()
    value, slope = tower(z, 1)
    minus, plus = (float(slope[np.argmin(np.abs(z - at))]) for at in (-1.0, 1.0))
    exact = np.where(z > 0, plus, minus) * z
    return (minus, plus) if np.allclose(value, exact, rtol=1e-14, atol=1e-300) else None


def find_radius(tower: Tower, kinks: tuple[float, ...]) -> float:
    """The `quadrature_radius` of a smooth function, or the `analytic_radius` of its pieces between kinks."""
    return _panel_width(tower, kinks) if kinks else _trapezoid_radius(tower)


def _scanned() -> Vector:
    """Edges of intervals, fine where preactivations are; kinks lie at round numbers, so edges do not."""
    near, far = np.arange(-8.0, 8.0, 1 / 64), np.geomspace(8.0, 1000.0, 400)
    return np.concatenate([-far[::-1], near, far[:-1]]) + 1 / 163


def _values(tower: Tower, p: int, z: Vector) -> Vector:
    """sigma^(p) and sigma^(p+1), NaN where they are not finite: (2, *z.shape)."""
    with np.errstate(all="ignore"):
        values = np.array(tower(z, p + 1)[p:])
    return np.where(np.isfinite(values), values, np.nan)


def _unexplained(values: Vector, edges: Vector) -> Vector:
    """|f(b) - f(a) - (b - a) (f'(a) + f'(b))/2| between neighbours along the first axis; 0 where that is not finite."""
    f, slope = values
    with np.errstate(all="ignore"):
        unexplained = np.diff(f, axis=0) - np.diff(edges, axis=0) * (slope[1:] / 2 + slope[:-1] / 2)
    return np.where(np.isfinite(unexplained), np.abs(unexplained), 0.0)


def _halved(tower: Tower, p: int, below: Vector, above: Vector) -> tuple[Vector, Vector, Vector]:
    """The half of every interval with more that is unexplained, and how much."""
    edges = np.stack([below, (below + above) / 2, above])
    left, right = _unexplained(_values(tower, p, edges), edges)
    lower = left >= right
    below, above = np.where(lower, edges[:2], edges[1:])
    return below, above, np.maximum(left, right)


def _rounded(low: float, high: float) -> float:
    """The roundest number of an interval."""
    slack = max(high - low, 1e-15 * max(1.0, abs(low)))
    candidates = (round((low + high) / 2, digits) for digits in range(16))
    return next((near + 0.0 for near in candidates if low - slack <= near <= high + slack), (low + high) / 2)


def _distinct(kinks: list[float]) -> tuple[float, ...]:
    apart = [not index or kink - kinks[index - 1] > _SAME * max(1.0, abs(kink)) for index, kink in enumerate(kinks)]
    return tuple(kink for kink, kept in zip(kinks, apart, strict=True) if kept)


def _trapezoid_radius(tower: Tower) -> float:
    """The largest radius whose trapezoidal rules average sigma^4 and sigma^2 sigma'^2 of narrow and of wide Gaussians."""
    references = [_averages(tower, spread, _RADII[-1] / 2) for spread in _SPREADS]
    sufficient = (radius for radius in _RADII if all(map(partial(_agrees, tower, radius), _SPREADS, references)))
    return float(next(sufficient, _RADII[-1]) / _MARGIN)


def _agrees(tower: Tower, radius: float, spread: float, reference: Vector) -> bool:
    """Whether a rule and the shifted one have the averages of a rule that is fine enough."""
    trials = (_averages(tower, spread, radius, shift) for shift in (0.0, 0.5))
    return all(np.all(np.abs(trial - reference) <= _CONVERGED * np.abs(reference)) for trial in trials)


def _averages(tower: Tower, spread: float, radius: float, shift: float = 0.0) -> Vector:
    step = min(_LARGEST_STEP, radius / (_STEPS_PER_RADIUS * spread))
    u = step * (np.arange(-np.ceil(_REACH / step), np.ceil(_REACH / step)) + shift)
    value, slope = tower(spread * u, 1)
    weights = step * np.exp(-u * u / 2)
    return np.array([weights @ value**4, weights @ (value * slope) ** 2])


def _panel_width(tower: Tower, kinks: tuple[float, ...]) -> float:
    """The largest width, at most 1, of panels beside the kinks on which a polynomial is sigma and sigma'."""
    starts = np.array([*kinks, *kinks])
    for width in _WIDTHS:
        ends = np.array([kink + side * width for side in (-1, 1) for kink in kinks])
        if _worst_tail(tower, starts, ends) <= _CONVERGED:
            return float(width)
    return float(_WIDTHS[-1])


def _worst_tail(tower: Tower, starts: Vector, ends: Vector) -> float:
    """Largest of the last Chebyshev coefficients of sigma and sigma' on some panels, relative to the largest of all."""
    x = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
    z = (starts + ends)[:, None] / 2 + (ends - starts)[:, None] / 2 * x
    tails = []
    for part in tower(z, 1):
        coefficients = np.abs(np.polynomial.chebyshev.chebfit(x, part.T, _NODES - 1))
        tails.append(coefficients[-4:].max() / max(coefficients.max(), np.finfo(float).tiny))
    return float(max(tails))
