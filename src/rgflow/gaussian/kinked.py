"""Moments of an activation with kinks, integrated exactly from kink to kink.

All integrals run over the inputs z themselves, on Gauss-Legendre panels that end at the kinks, against the Gaussian density.
Beyond a kink a derivative sigma^(p) is a distribution: its regular part on the panels, plus delta functions and their
derivatives at the kinks, whose pairing with the density is a derivative of the density there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import MAX_ORDER, Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.density import density_derivative
from rgflow.gaussian.moments import MAX_FACTORS, Array, powers, product_scales, product_values, subsets
from rgflow.gaussian.nested import Family, contract, flattest_order
from rgflow.gaussian.nodes import panel_rule, piecewise_edges
from rgflow.gaussian.parallel import ParallelPair, parallel_pairs
from rgflow.gaussian.planar import is_planar, is_spatial, planar_product_means, spatial_product_means
from rgflow.gaussian.price import price_gradient, price_hessian
from rgflow.gaussian.single import kinked_rule, single_mean

_ROUNDING = 1e-14
_REACH = 8.5  # standard deviations
_PANEL = 3.0  # conditional standard deviations per panel
_COUNT, _CONTROL_COUNT = 16, 20  # nodes per panel
_TENSOR_COUNT, _TENSOR_CONTROL_COUNT = 8, 10  # where cost grows with their fourth power
_SAFETY = 2.0  # the control has an error too, and not all products are compared
_SPARED = 2  # nodes of a panel that integrals over three dimensions do without
_LARGEST_GRID = {2: 200_000, 3: 5_000, 4: 400}  # nodes per input: what fits time and memory
_POINTS_AT_ONCE = 128
_TILE = 16  # outer nodes that share a window of inner nodes
_LARGEST_EXPONENT = 300.0  # of a factor of the density


class KinkedMoments:
    """`Moments` of an activation with kinks.

    Inputs may be parallel, or lie in one plane or space; otherwise no two of them may be nearly parallel, nor four lie near
    a common hyperplane. Where deltas of parallel inputs meet, their pair has derivatives along the cone that scaling spans only:
    all of it in the variance of the first, at a fixed ratio of the two.
    """

    def __init__(self, activation: Activation, K: Array, rtol: float) -> None:
        self.error = _ROUNDING
        self._activation, self._K, self._rtol = activation, K, rtol

    def pair(self, p: int, q: int) -> Array:
        result = self._table(p, q)
        np.fill_diagonal(result, np.asarray(single_mean(self._activation, (p, q), self._K.diagonal())))
        for (a, b), line in self._parallel.items():
            result[a, b], result[b, a] = self._line_mean(line, p, q), self._line_mean(line, q, p)
        return result

    def gradient(self, p: int) -> Array:
        if p == 0 and not self._has_jumps:
            slots = price_gradient(self.pair, p)
        else:
            slots = price_gradient(self._table, p)
            for (a, b), line in self._parallel.items():
                slots[a, b, 0] = slots[b, a, 2] = self._line_derivative(line, p, 1)
        diagonal = np.arange(len(slots))
        slots[diagonal, diagonal] = 0.0
        slots[diagonal, diagonal, 1] = [self._variance_derivative(p, 1, K) for K in self._K.diagonal()]
        return slots

    def hessian(self, p: int) -> Array:
        slots = price_hessian(self._table, p)
        for (a, b), line in self._parallel.items():
            slots[a, b, 0, 0] = slots[b, a, 2, 2] = self._line_derivative(line, p, 2)
        diagonal = np.arange(len(slots))
        slots[diagonal, diagonal, 1, 1] = [self._variance_derivative(p, 2, K) for K in self._K.diagonal()]
        return slots

    def products(self, d: int) -> Array:
        chosen = subsets(len(self._K), d)
        covariances = [self._K[np.ix_(s, s)] for s in chosen]
        count, control = (_COUNT, _CONTROL_COUNT) if d < 3 else (_TENSOR_COUNT, _TENSOR_CONTROL_COUNT)
        found = np.array([self._product_route(K)(K, count) for K in covariances])
        for index in self._hardest(covariances):
            K = covariances[index]
            error = np.abs(found[index] - self._product_route(K)(K, control))
            self._require(error / product_scales(self._fourth_roots[chosen[index]], d))
        if self._has_jumps:  # sigma' has delta functions: only products of sigma exist
            for axis in range(1, d + 1):
                primed = [k for k, (_, primes) in enumerate(powers(d)) if primes]
                np.moveaxis(found, axis, 0)[primed] = np.nan
        return found

    def _hardest(self, covariances: list[Array]) -> set[int]:
        """All pairs; of three and four inputs by each route the most dependent, those that spread most, and least."""
        if len(covariances[0]) < 3:
            return set(range(len(covariances)))
        routes = [self._product_route(K).__name__ for K in covariances]
        measures = (
            [_smallest_eigenvalue(K) for K in covariances],
            [-float(K.diagonal().max()) for K in covariances],
            [float(K.diagonal().min()) for K in covariances],
        )
        members = [[i for i, own in enumerate(routes) if own == route] for route in set(routes)]
        return {min(those, key=measure.__getitem__) for those in members for measure in measures}

    def _line_mean(self, line: ParallelPair, p: int, q: int) -> float:
        return self._checked(line, line.size(p, q), lambda these: these.mean(p, q))

    def _line_derivative(self, line: ParallelPair, p: int, times: int) -> float:
        return self._checked(line, line.size(p + 2 * times, p), lambda these: these.scale_derivative(p, times))

    def _checked(self, line: ParallelPair, size: float, average: Callable[[ParallelPair], float]) -> float:
        """An average of parallel inputs, compared with denser nodes."""
        found, control = average(line), average(replace(line, refinement=1.5))
        self._require(np.abs(found - control) / max(abs(control), size))
        return found

    def _product_route(self, K: Array) -> Callable[[Array, int], Array]:
        if len(K) == 1:
            return self._single_products
        if len(K) == 2 and not parallel_pairs(K):
            return self._pair_products
        if is_planar(K):
            return self._planar_products
        return self._spatial_products if len(K) == MAX_FACTORS and is_spatial(K) else self._tensor_products

    @cached_property
    def _parallel(self) -> dict[tuple[int, int], ParallelPair]:
        sd = np.sqrt(self._K.diagonal())
        signs = np.sign(self._K)
        return {
            (a, b): ParallelPair(self._activation, float(sd[a]), float(signs[a, b] * sd[b]))
            for a, b in parallel_pairs(self._K)
        }

    @cached_property
    def _has_jumps(self) -> bool:
        return any(self._jumps[0])

    @cached_property
    def _jumps(self) -> Array:
        """Jumps of sigma^(p) at every kink: (p, kink)."""
        sides = [self._activation.sides(kink, MAX_ORDER) for kink in self._activation.kinks]
        jumps = np.array([np.subtract(above, below) for below, above in sides]).T
        return np.asarray(np.where(np.abs(jumps) > 1e-14, jumps, 0.0))

    @cached_property
    def _fourth_roots(self) -> Array:
        """<sigma^4>^(1/4) and <sigma'^4>^(1/4) of every input, the latter inf if sigma jumps: (input, 2)."""
        means = [np.asarray(single_mean(self._activation, (p,) * 4, self._K.diagonal())) for p in self._existing]
        return np.stack(means if len(means) == 2 else [*means, np.full(len(self._K), np.inf)], axis=-1) ** 0.25

    @property
    def _existing(self) -> tuple[int, ...]:
        """Derivatives of sigma without delta functions, up to the first."""
        return (0,) if self._has_jumps else (0, 1)

    def _table(self, p: int, q: int) -> Array:
        """<sigma^(p)_a sigma^(q)_b> of inputs that are not parallel, else 0, if accurate.

        The scale of an error is that of sigma in units of the standard deviations: <sigma_a^2>^(1/2) K_aa^(-p/2) and so for b.
        """
        table, errors = self._tables
        size = np.sqrt(np.asarray(single_mean(self._activation, (0, 0), self._K.diagonal())))
        scale = np.multiply.outer(size * self._K.diagonal() ** (-p / 2), size * self._K.diagonal() ** (-q / 2))
        self._require(errors[p, q] / np.maximum(scale, np.abs(table[p, q])))
        return np.array(table[p, q])

    @cached_property
    def _tables(self) -> tuple[Array, Array]:
        """<sigma^(p)_a sigma^(q)_b> in the sense of distributions, and estimated errors: (p, q, a, b)."""
        n = len(self._K)
        tables, errors = np.zeros((2, MAX_ORDER + 1, MAX_ORDER + 1, n, n))
        for a, b in subsets(n, 2):
            if (a, b) in self._parallel:
                continue
            S = self._K[np.ix_((a, b), (a, b))]
            found, control = self._pair_table(S, _COUNT), self._pair_table(S, _CONTROL_COUNT)
            tables[:, :, a, b], tables[:, :, b, a] = found, found.T
            errors[:, :, a, b], errors[:, :, b, a] = np.abs(found - control), np.abs(found - control).T
        return tables, errors

    def _pair_table(self, S: Array, count: int) -> Array:
        kinks = np.array(self._activation.kinks)
        (x, f), (y, g) = (self._grid(self._tower, S, k, count) for k in (0, 1))
        total = _banded_mean(x, f, y, g, S)
        deltas = list(enumerate(self._delta_coefficients()))
        for m, coefficients in deltas:
            total += coefficients @ density_derivative(S, kinks[:, None], y, m, 0) @ g.T
            total += f @ density_derivative(S, x[:, None], kinks, 0, m) @ coefficients.T
            for n, others in deltas:
                total += coefficients @ density_derivative(S, kinks[:, None], kinks, m, n) @ others.T
        return total

    def _tower(self, z: Array) -> Array:
        return np.array(self._activation.derivatives(z, MAX_ORDER))

    def _delta_coefficients(self) -> list[Array]:
        """For m = 0, 1, ...: what multiplies the m-th derivative of the density: (order p, kink).

        sigma^(p) contains jump(sigma^(p-1-m)) delta^(m), and integration by parts gives (-1)^m.
        """
        coefficients = []
        for m in range(MAX_ORDER):
            shifted = np.zeros((MAX_ORDER + 1, len(self._activation.kinks)))
            shifted[m + 1 :] = (-1.0) ** m * self._jumps[: MAX_ORDER - m]
            coefficients.append(shifted)
        return coefficients

    def _variance_derivative(self, p: int, times: int, K: float) -> float:
        """d^times/dK^times of <(sigma^(p))^2>_K, by Stein: regular values against Hermite polynomials."""
        if K == 0:
            return 0.0
        u, w = kinked_rule(self._activation, K)
        hermite = u * u - 1 if times == 1 else u**4 - 6 * u * u + 3
        values = self._activation.derivative(math.sqrt(K) * u, p)
        return float(np.sum(w * hermite * values**2) / (2 * K) ** times)

    def _grid(self, family: Family, K: Array, k: int, count: int) -> tuple[Array, Array]:
        """Nodes z of input k and the weighted values of its functions there; panels resolve z_k given the others."""
        sd = math.sqrt(K[k, k])
        conditional = 1 / math.sqrt(np.linalg.inv(K)[k, k]) if np.linalg.cond(K) < 1e14 else 0.0
        width = min(_PANEL * conditional, 2.0 * sd, self._activation.analytic_radius)
        if 2 * _REACH * sd * count > _LARGEST_GRID[len(K)] * width:
            raise self._dependent(len(K))
        z, w = panel_rule(piecewise_edges(self._activation.kinks, min(1.0, width), _REACH * sd, width), count)
        return z, family(z) * w

    def _dependent(self, d: int) -> RgflowError:
        what = f"Gaussian means of {self._activation.label} over {d} inputs"
        return RgflowError(f"{what}: nearly dependent inputs; allowed with kinks: covariances far from singular")

    def _single_products(self, K: Array, count: int) -> Array:
        del count  # the rule has its own, ample number of nodes
        u, w = kinked_rule(self._activation, K[0, 0])
        return np.asarray(product_values(self._activation, math.sqrt(K[0, 0]) * u, 1) @ w)

    def _pair_products(self, K: Array, count: int) -> Array:
        family = partial(product_values, self._activation, d=2)
        (x, f), (y, g) = (self._grid(family, K, k, count) for k in (0, 1))
        return _banded_mean(x, f, y, g, K)

    def _planar_products(self, K: Array, count: int) -> Array:
        family = partial(product_values, self._activation, d=len(K))
        return planar_product_means(family, self._activation.kinks, K, count)

    def _spatial_products(self, K: Array, count: int) -> Array:
        family = partial(product_values, self._activation, d=len(K))
        return spatial_product_means(family, self._activation.kinks, K, count - _SPARED)

    def _tensor_products(self, K: Array, count: int) -> Array:
        d = len(K)
        family = partial(product_values, self._activation, d=d)
        order = flattest_order(K)
        grids = [self._grid(family, K, k, count) for k in order]
        return np.transpose(_tensor_mean(grids, K[np.ix_(order, order)]), np.argsort(order))

    def _require(self, errors: Array | float) -> None:
        """Note relative errors, and refuse those above the tolerance."""
        error = _SAFETY * float(np.max(errors, initial=0.0))
        if not error <= self._rtol:
            what = f"Gaussian means of {self._activation.label}"
            raise RgflowError(f"{what}: estimated error {error:.1e} exceeds rtol = {self._rtol:.1e}")
        self.error = max(self.error, error)


def _smallest_eigenvalue(K: Array) -> float:
    """Of the correlations."""
    sd = np.sqrt(K.diagonal())
    return float(np.linalg.eigvalsh(K / np.outer(sd, sd))[0])


def _banded_mean(x: Array, f: Array, y: Array, g: Array, S: Array) -> Array:
    """Sum of f[:, x] density(x, y) g[:, y], over the band of y that the density reaches from each x."""
    slope = S[0, 1] / S[0, 0]
    reach = (_REACH + 1) * math.sqrt(max(S[1, 1] - slope * S[0, 1], 0.0))
    total = np.zeros((len(f), len(g)))
    for start in range(0, x.size, _POINTS_AT_ONCE):
        here = slice(start, start + _POINTS_AT_ONCE)
        ends = slope * x[here][0], slope * x[here][-1]
        band = slice(*np.searchsorted(y, (min(ends) - reach, max(ends) + reach)))
        total += f[:, here] @ (density_derivative(S, x[here, None], y[band], 0, 0) @ g[:, band].T)
    return total


def _tensor_mean(grids: list[tuple[Array, Array]], K: Array) -> Array:
    """Mean over three or four inputs on the product of their grids, the last two in a window around their mean."""
    head = len(K) - 2
    index = np.indices([z.size for z, _ in grids[:head]]).reshape(head, -1)
    outer = np.stack([z[i] for (z, _), i in zip(grids, index, strict=False)], axis=-1)
    distance = np.einsum("ni,ij,nj->n", outer, np.linalg.inv(K[:head, :head]), outer)
    near = distance < _REACH**2
    outer, index = outer[near], index[:, near]
    weight = np.exp(-0.5 * distance[near]) / math.sqrt((2 * math.pi) ** head * np.linalg.det(K[:head, :head]))
    regression = np.linalg.solve(K[:head, :head], K[:head, head:])
    rest = K[head:, head:] - K[head:, :head] @ regression
    centers = outer @ regression
    pair = np.concatenate([_tile_means(centers[tile], grids[head:], rest) for tile in _tiles(index)])
    return contract([values[:, i] for (_, values), i in zip(grids, index, strict=False)], weight, pair)


def _tiles(index: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Rows of consecutive outer points that are neighbours in the last outer direction and equal in the others."""
    label = (index[0] if len(index) > 1 else 0) * (index[-1].max() + 1) + index[-1] // _TILE
    return np.split(np.arange(label.size), np.flatnonzero(np.diff(label)) + 1)


def _tile_means(centers: Array, grids: list[tuple[Array, Array]], S: Array) -> Array:
    """<f(z_1) g(z_2)> of z ~ N(center, S) for neighbouring centers: (center, f, g).

    Coordinates are relative to the middle of the tile, so that no factor of the density overflows unless the pair is strongly
    correlated; then the density is taken whole.
    """
    middle = centers.mean(axis=0)
    reach = _REACH * np.sqrt(S.diagonal()) + np.ptp(centers, axis=0) / 2
    windows = [slice(*np.searchsorted(z, (m - r, m + r))) for (z, _), m, r in zip(grids, middle, reach, strict=True)]
    (y, f), (z, g) = ((nodes[here], values[:, here]) for (nodes, values), here in zip(grids, windows, strict=True))
    y, z, (p, q) = y - middle[0], z - middle[1], (centers - middle).T[:, :, None]
    (yy, yz), (_, zz) = np.linalg.inv(S)
    norm = 2 * math.pi * math.sqrt(np.linalg.det(S))
    if abs(yz) * np.abs(y).max(initial=0.0) * np.abs(z).max(initial=0.0) > _LARGEST_EXPONENT:
        u, v = (y - p)[:, :, None], (z - q)[:, None, :]
        return np.asarray(f @ np.exp(-0.5 * (yy * u * u + 2 * yz * u * v + zz * v * v)) @ g.T / norm)
    left = np.exp(-0.5 * yy * (y - p) ** 2 + yz * (y - p / 2) * q)
    right = np.exp(-0.5 * zz * (z - q) ** 2 + yz * (z - q / 2) * p)
    coupling = np.exp(-yz * np.outer(y, z)) / norm
    return np.stack([(((left * values) @ coupling) * right) @ g.T for values in f], axis=1)
