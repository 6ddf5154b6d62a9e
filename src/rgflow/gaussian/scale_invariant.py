"""Moments of sigma(z) = a_plus z (z > 0), a_minus z (z < 0), in closed form or by one-dimensional integrals."""

from __future__ import annotations

import math
from functools import cached_property, reduce
from itertools import product

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.moments import MAX_FACTORS, Array, powers, subsets
from rgflow.gaussian.nodes import panel_rule
from rgflow.gaussian.orthant import OrthantMoments
from rgflow.gaussian.parallel import RESOLVED, apartness
from rgflow.gaussian.planar import is_planar, plane_coordinates

_EPS = float(np.finfo(np.float64).eps)


def _divide(numerator: Array, denominator: Array) -> Array:
    """numerator/denominator, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator != 0)


class ScaleInvariantMoments:
    """`Moments` of a scale-invariant activation; parallel inputs get derivatives along the cone that scaling spans."""

    def __init__(self, activation: Activation, K: Array, rtol: float, apart: Array | None = None) -> None:
        assert activation.slopes is not None
        self.error = 4 * _EPS
        self._K, self._rtol, self._label = K, rtol, activation.label
        self._apart = apartness(K) if apart is None else apart
        self._minus, self._plus = activation.slopes
        self._kink = (self._plus - self._minus) ** 2

    def pair(self, p: int, q: int) -> Array:
        if (p, q) == (0, 0):
            return np.asarray(self._minus * self._plus * self._K + self._kink * self._relu.kernel)
        if (p, q) == (1, 1):
            return self._minus * self._plus + self._kink * self._relu.overlap
        if sorted((p, q)) == [0, 1]:
            mean = self._value_slope_mean()
            return mean if p == 0 else mean.T
        if self._kink == 0.0:
            return np.zeros_like(self._K)  # a straight line has no second derivative
        raise RgflowError(f"pair mean of {self._label} with derivative orders {(p, q)}; allowed: 0 and 1")

    def gradient(self, p: int) -> Array:
        relu = self._relu.kernel_gradient if p == 0 else self._relu.overlap_gradient
        if p:
            self.error = max(self.error, self._relu.derivative_error)
        result = self._kink * relu
        if p == 0:
            result[..., 1] += self._minus * self._plus
        return np.asarray(result)

    def hessian(self, p: int) -> Array:
        relu = self._relu.kernel_hessian if p == 0 else self._relu.overlap_hessian
        self.error = max(self.error, self._relu.derivative_error)
        return np.asarray(self._kink * relu)

    def products(self, d: int) -> Array:
        chosen = subsets(len(self._K), d)
        covariances = self._K[chosen[:, :, None], chosen[:, None, :]]
        result = np.empty((len(chosen), *(len(powers(d)),) * d))
        planar = np.array([is_planar(K) for K in covariances])
        for index in np.flatnonzero(planar):
            result[index] = self._planar_products(covariances[index])
        spatial = np.flatnonzero(~planar)
        if spatial.size:
            result[spatial] = self._orthant_products(covariances[spatial])
        if d > 1:
            self.error = max(
                self.error, self._relu.derivative_error
            )  # K alone tells the angles of three or four inputs
        return result

    @cached_property
    def _relu(self) -> _ReluPairs:
        return _ReluPairs(self._K, self._apart)

    def _value_slope_mean(self) -> Array:
        """<sigma_a sigma'_b>, from <relu_a>, <z_a theta_b> and <relu_a theta_b>."""
        sd = np.sqrt(self._K.diagonal())
        jump = self._plus - self._minus
        own = np.broadcast_to(sd[:, None], self._K.shape)
        other = _divide(self._K, np.broadcast_to(sd, self._K.shape))
        means = self._minus * jump * (own + other) + jump**2 * (own + other) / 2
        return means / math.sqrt(2 * math.pi)

    def _planar_products(self, K: Array) -> Array:
        """Products of inputs in a plane, z_a = r n_a . (cos t, sin t): an integral over t from kink to kink."""
        plane = plane_coordinates(K)
        kinks = np.arctan2(-plane[:, 0], plane[:, 1]) % math.pi
        turns = sorted({*kinks, *(kinks + math.pi)})
        t, w = panel_rule([*turns, turns[0] + 2 * math.pi], 24)
        z = plane[:, 0, None] * np.cos(t) + plane[:, 1, None] * np.sin(t)
        slope = np.where(z > 0, self._plus, self._minus)
        angular = np.ones((1, t.size))
        for factors in (np.array([slope[a] ** (i + j) * z[a] ** i for i, j in powers(len(K))]) for a in range(len(K))):
            angular = (angular[:, None] * factors).reshape(-1, t.size)
        degree = _total_value_powers(len(K))
        radial = np.vectorize(lambda m: 2 ** (m / 2) * math.gamma(1 + m / 2))(degree)
        return np.asarray((angular @ w).reshape(degree.shape) * radial / (2 * math.pi))

    def _orthant_products(self, K: Array) -> Array:
        """Products summed over sign orthants; parallel inputs enter by conditioning on one of them."""
        total, control = (self._orthant_sum(K, shift) for shift in (0.0, 0.5))
        scale = np.sqrt(np.diagonal(K, axis1=-2, axis2=-1)).max(axis=-1)
        degree = _total_value_powers(K.shape[-1])
        sizes = scale.reshape(-1, *(1,) * degree.ndim) ** degree * max(abs(self._minus), abs(self._plus)) ** 4
        error = float(np.max(np.abs(total - control) / sizes, initial=0.0))
        if error > self._rtol:
            raise RgflowError(f"quartic moments of {self._label}: error {error:.1e} exceeds rtol = {self._rtol:.1e}")
        self.error = max(self.error, error)
        return total

    def _orthant_sum(self, K: Array, shift: float) -> Array:
        d, choices = K.shape[-1], powers(K.shape[-1])
        signs = np.array(list(product((-1, 1), repeat=d)))
        orthants = OrthantMoments(K[:, None] * (signs[:, :, None] * signs[:, None, :]), shift)
        slopes = np.where(signs > 0, self._plus, self._minus)
        total = np.zeros((len(K), *(len(choices),) * d))
        for index in np.ndindex(*(len(choices),) * d):
            i, j = np.transpose([choices[k] for k in index])
            if np.sum(i + j) <= MAX_FACTORS:
                weights = np.prod(signs**i * slopes ** (i + j), axis=1)
                total[(..., *index)] = orthants.moment(tuple(i.tolist())) @ weights
        return total


def _total_value_powers(d: int) -> Array:
    """Total power of sigma of every combination of products."""
    return reduce(np.add.outer, [np.array([float(i) for i, _ in powers(d)])] * d)


class _ReluPairs:
    """<relu_a relu_b>, <theta_a theta_b> and their derivatives in (x, c, y) = (K_aa, K_ab, K_bb).

    With t the angle between the inputs, or pi minus it if c < 0, 1 - cos t = `apart` and f = sin t - t cos t: the overlap is
    1/2 - t/(2 pi) or t/(2 pi), the kernel sqrt(xy) times (f + pi cos t)/(2 pi) or f/(2 pi).
    """

    def __init__(self, K: Array, apart: Array) -> None:
        variance = K.diagonal()
        self.x, self.c, self.y = np.broadcast_arrays(variance[:, None], K, variance)
        size, sine, cosine = np.sqrt(self.x) * np.sqrt(self.y), np.sqrt(apart * (2 - apart)), 1 - apart
        t, same_side = 2 * np.arcsin(np.sqrt(apart / 2)), K >= 0
        self.root = size * sine  # sqrt(x y - c^2)
        self.delta = self.root**2
        self.apart = apart > RESOLVED  # elsewhere derivatives along the cone vanish
        self.overlap = np.where(same_side, math.pi - t, t) / (2 * math.pi)
        self.kernel = size * (sine - t * cosine + np.where(same_side, math.pi * cosine, 0.0)) / (2 * math.pi)
        self.density = _divide(np.where(self.apart, 1 / (2 * math.pi), 0.0), self.root)  # p_c
        off_diagonal = t[(size > 0) & ~np.eye(len(K), dtype=bool)]
        self.derivative_error = float(
            np.max(np.minimum(off_diagonal, _EPS / np.maximum(off_diagonal, _EPS)), initial=0.0)
        )

    @cached_property
    def kernel_gradient(self) -> Array:
        excess = self.root / (2 * math.pi)  # kernel - c overlap
        return np.stack([_divide(excess, 2 * self.x), self.overlap, _divide(excess, 2 * self.y)], axis=-1)

    @cached_property
    def overlap_gradient(self) -> Array:
        x, c, y, pc = self.x, self.c, self.y, self.density
        return np.stack([_divide(-c * pc, 2 * x), pc, _divide(-c * pc, 2 * y)], axis=-1)

    @cached_property
    def kernel_hessian(self) -> Array:
        x, c, y = self.x, self.c, self.y
        fx, _, fy = np.moveaxis(np.where(self.apart[..., None], self.kernel_gradient, 0.0), -1, 0)
        fxc, fcc, fyc = np.moveaxis(self.overlap_gradient, -1, 0)
        fxx, fyy = -_divide(fx + c * fxc, 2 * x), -_divide(fy + c * fyc, 2 * y)
        fxy = _divide(fy - c * fyc, 2 * x)
        return _symmetric(fxx, fxc, fxy, fcc, fyc, fyy)

    @cached_property
    def overlap_hessian(self) -> Array:
        x, c, y, pc = self.x, self.c, self.y, self.density
        cube = 4 * math.pi**2 * pc**3  # 1/(2 pi delta^(3/2))
        pcc, pxc, pyc = c * cube, -y * cube / 2, -x * cube / 2
        pxx = _divide(_divide(c * pc, x) - c * pxc, 2 * x)
        pyy = _divide(_divide(c * pc, y) - c * pyc, 2 * y)
        return _symmetric(pxx, pxc, _divide(-c * pyc, 2 * x), pcc, pyc, pyy)


def _symmetric(xx: Array, xc: Array, xy: Array, cc: Array, yc: Array, yy: Array) -> Array:
    rows = [np.stack(row, axis=-1) for row in ((xx, xc, xy), (xc, cc, yc), (xy, yc, yy))]
    return np.stack(rows, axis=-2)
