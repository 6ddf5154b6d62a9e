"""Inputs whose covariance has rank two at most, so that everything happens in one plane, and four of rank three."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, product

import numpy as np

from rgflow.gaussian.moments import Array
from rgflow.gaussian.nested import Family, contract, eliminate
from rgflow.gaussian.nodes import normal_density, panel_rule, piecewise_edges

_PLANAR = 1e-13  # relative third eigenvalue below which inputs lie in a plane
_LINE = 4e-15  # relative second eigenvalue below which inputs lie on a line
_REACH = 8.5
_WIDEST = 1.5  # panel, in standard deviations


def is_planar(K: Array) -> bool:
    """Whether the covariance has rank two at most."""
    return _spans(K, 2)


def is_spatial(K: Array) -> bool:
    """Whether the covariance has rank three at most."""
    return _spans(K, 3)


def _spans(K: Array, rank: int) -> bool:
    values = np.linalg.eigvalsh(K)
    return len(K) <= rank or bool(values[-rank - 1] <= _PLANAR * values[-1])


def plane_coordinates(K: Array) -> Array:
    """A (d, 2) with z = A u for two independent standard normal u, for a covariance of rank two at most.

    Rounding of a covariance of rank one spans no second direction.
    """
    values, vectors = np.linalg.eigh(K)
    plane = np.zeros((len(K), 2))
    kept = np.where(values[-2:] > _LINE * values[-1], values[-2:], 0.0)
    plane[:, -len(K) :] = vectors[:, -2:] * np.sqrt(kept)
    return plane


def planar_product_means(family: Family, kinks: Sequence[float], K: Array, count: int) -> Array:
    """<f_1(z_1) ... f_d(z_d)>_K for every choice of one function of the family per input, smooth between kinks.

    A kink of an input is a line of the plane. The outer integral is split where two lines cross, the inner one at every
    line, with `count` nodes per panel.
    """
    return _plane_means(family, kinks, _turned(plane_coordinates(K)), np.zeros(len(K)), _REACH, count)


def spatial_product_means(family: Family, kinks: Sequence[float], K: Array, count: int) -> Array:
    """`planar_product_means` of four inputs whose covariance has rank three.

    The outermost integral runs over one input. The others given it lie in a plane, across which their kink lines move with it:
    it is split where one of its own kinks is, or three lines meet.
    """
    outer = max(range(len(K)), key=lambda k: _least_rest(K, k))
    others = [k for k in range(len(K)) if k != outer]
    loadings, rest = eliminate(K, (outer,))
    slopes, plane = loadings[others, 0], _turned(plane_coordinates(rest[np.ix_(others, others)]))
    breaks = [*(kink / loadings[outer, 0] for kink in kinks), *_meetings(plane, slopes, kinks)]
    width = _panel_width(loadings)
    u, w = panel_rule(piecewise_edges(breaks, width * math.sqrt(_least_rest(K, outer)), _REACH, width), count)
    reaches = np.sqrt(_REACH**2 - u * u)
    inner = np.array(
        [_plane_means(family, kinks, plane, slopes * v, r, count) for v, r in zip(u, reaches, strict=True)]
    )
    total = contract([family(loadings[outer, 0] * u)], w * normal_density(u), inner)
    return np.moveaxis(total, 0, outer)


def _least_rest(K: Array, outer: int) -> float:
    """Smallest relative variance left of another input given one, of those that are not parallel to it."""
    _, rest = eliminate(K, (outer,))
    left = rest.diagonal() / K.diagonal()
    return float(left[left > _PLANAR].min())


def _meetings(plane: Array, slopes: Array, kinks: Sequence[float]) -> Iterator[float]:
    """Values of the outermost variable u_0 at which lines n_i . u = kink_i - slope_i u_0, one of each input, meet in a point."""
    dependence = np.array(
        [_cross(plane[i], plane[j]) for i, j in ((1, 2), (2, 0), (0, 1))]
    )  # sum of these times n_i is 0
    if speed := float(dependence @ slopes):
        yield from (float(dependence @ chosen) / speed for chosen in product(kinks, repeat=3))


def _cross(n: Array, m: Array) -> float:
    return float(n[0] * m[1] - n[1] * m[0])


def _plane_means(family: Family, kinks: Sequence[float], plane: Array, means: Array, reach: float, count: int) -> Array:
    """<f_1(z_1) ... f_d(z_d)> of z = means + plane u over the disk |u| < reach, for independent standard normal u."""
    lines = [(along, across, kink - m) for (along, across), m in zip(plane, means, strict=True) for kink in kinks]
    width = _panel_width(plane)
    u, w = panel_rule(piecewise_edges(_crossings(lines), width, reach, width), count)
    total: Array = np.zeros(())
    for u_1, w_1 in zip(u, w * normal_density(u), strict=True):
        breaks = [(kink - along * u_1) / across for along, across, kink in lines if across]
        u_2, w_2 = panel_rule(piecewise_edges(breaks, width, math.sqrt(reach**2 - u_1**2), width), count)
        values = [family(m + along * u_1 + across * u_2) for (along, across), m in zip(plane, means, strict=True)]
        total = total + w_1 * contract(values, w_2 * normal_density(u_2), np.ones((u_2.size, 1, 1)))[..., 0, 0]
    return total


def _panel_width(loadings: Array) -> float:
    return _WIDEST / max(1.0, float(np.abs(loadings).max()))


def _turned(plane: Array) -> Array:
    """The coordinates turned so that no kink line comes close to upright, where its step would be steep in u_1."""
    angles = np.sort(np.arctan2(plane[:, 1], plane[:, 0]) % math.pi)
    gaps = np.diff(angles, append=angles[0] + math.pi)
    axis = angles[np.argmax(gaps)] + gaps.max() / 2
    return np.asarray(plane @ [[math.cos(axis), -math.sin(axis)], [math.sin(axis), math.cos(axis)]])


def _crossings(lines: Sequence[tuple[float, float, float]]) -> Iterator[float]:
    """Where the lines along * u_1 + across * u_2 = kink cross each other: values of u_1."""
    for (a, b, k), (c, d, m) in combinations(lines, 2):
        if a * d != b * c:
            yield (k * d - m * b) / (a * d - b * c)
