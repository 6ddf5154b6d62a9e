"""Inputs whose covariance has rank two at most: everything happens in one plane."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from rgflow.gaussian.moments import Array
from rgflow.gaussian.nested import Family, contract
from rgflow.gaussian.nodes import normal_density, panel_rule, piecewise_edges

_PLANAR = 1e-13  # relative third eigenvalue below which inputs lie in a plane
_REACH = 8.5


def is_planar(K: Array) -> bool:
    """Whether the covariance has rank two at most."""
    values = np.linalg.eigvalsh(K)
    return len(K) < 3 or bool(values[-3] <= _PLANAR * values[-1])


def plane_coordinates(K: Array) -> Array:
    """A (d, 2) with z = A u for two independent standard normal u, for a covariance of rank two at most."""
    values, vectors = np.linalg.eigh(K)
    plane = np.zeros((len(K), 2))
    plane[:, -len(K) :] = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))
    return plane


def planar_product_means(family: Family, kinks: Sequence[float], K: Array, count: int) -> Array:
    """<f_1(z_1) ... f_d(z_d)>_K for every choice of one function of the family per input, smooth between kinks.

    A kink of an input is a line of the plane. The outer integral is split where two lines cross, the inner one at every
    line, with `count` nodes per panel.
    """
    plane = _turned(plane_coordinates(K))
    lines = [(along, across, kink) for along, across in plane for kink in kinks]
    width = min(1.0, 1 / float(np.abs(plane).max()))
    u, w = panel_rule(piecewise_edges(_crossings(lines), width, _REACH, 1.0), count)
    total = 0.0
    for u_1, w_1 in zip(u, w * normal_density(u), strict=True):
        breaks = [(kink - along * u_1) / across for along, across, kink in lines]
        u_2, w_2 = panel_rule(piecewise_edges(breaks, width, _REACH, 1.0), count)
        values = [family(along * u_1 + across * u_2) for along, across in plane]
        total = total + w_1 * contract(values, w_2 * normal_density(u_2), np.ones((u_2.size, 1, 1)))[..., 0, 0]
    return np.asarray(total)


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
