"""Residual networks z' = xi_1 (b + W sigma(z)) + xi_2 z: kernel, NTK mean, three-point correlator, vertex, NLO metric.

The skip connection breaks z_i -> -z_i per neuron, so unless sigma is odd a three-point correlator appears at order 1/n
and feeds the vertex: E[z_i;1 z_j;2 z_j;3] = T3_1(23) / n for i != j. Dropping it is wrong at leading order for relu,
gelu and swish. In the recursions C_W, C_b, lambda_W, lambda_b carry the factor xi_1^2. Those of D, F, A, B and Theta1
have not been derived.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.averages import Averages
from rgflow.network import Network
from rgflow.theory.initialization.contraction import (
    Array,
    cross_pairs,
    exchange_pairs,
    outer,
    pair_contraction,
    sandwich,
)
from rgflow.theory.initialization.kernel import mean_shift, next_kernel
from rgflow.theory.initialization.layers import Recursion, recursions
from rgflow.theory.initialization.ntk import next_ntk
from rgflow.theory.initialization.step import Step


class ResidualStep(Step):
    """One step of a residual network: a plain step, xi_2, and the averages with an odd number of derivatives.

    Raises
    ------
    RgflowError
        A kinked activation that is not scale-invariant.
    """

    def __init__(self, network: Network, layer: int, averages: Averages) -> None:
        super().__init__(network, layer, averages)
        sigma = network.activation_of(layer)
        self.xi_2, self.slopes = network.architecture.skip, sigma.slopes
        require_residual_theory(sigma)

    @cached_property
    def q(self) -> Array:
        """<d_beta (sigma_1 sigma_2)> for beta = 1, 2, (N, N, 2)."""
        ds = self.averages.pair(1, 0)
        return np.stack([ds, ds.T], axis=-1)

    def third(self, K: Array) -> tuple[Array, Array]:
        """<sigma'''_1 sigma_2> and <sigma''_1 sigma'_2>, (N, N) each.

        For slopes a_+, a_- the latter is (a_+^2 - a_-^2) / (2 sqrt(2 pi K_11)), the former -K_12/K_11 times it.
        """
        if self.slopes is None:
            return self.averages.pair(3, 0), self.averages.pair(2, 1)
        a_minus, a_plus = self.slopes
        variance = np.diag(K)[:, None]
        ssd = (a_plus**2 - a_minus**2) / (2.0 * np.sqrt(2.0 * math.pi * variance)) * np.ones_like(K)
        return -K / variance * ssd, ssd


def require_residual_theory(sigma: Activation) -> None:
    """Raise one line unless residual networks of an activation have a theory: with kinks only scale-invariant ones do."""
    if sigma.kinks and sigma.slopes is None:
        raise RgflowError(f"residual theory of {sigma.label}: of kinks only relu, leaky_relu are supported")


def next_residual_kernel(step: ResidualStep, K: Array) -> Array:
    """K'_12 = C_b + C_W <s1 s2> + xi_2^2 K_12."""
    return next_kernel(step) + step.xi_2**2 * K


def next_residual_ntk(step: ResidualStep, Theta: Array) -> Array:
    """Theta'_12 = lambda_b + lambda_W <s1 s2> + C_W <s'1 s'2> Theta_12 + xi_2^2 Theta_12."""
    return next_ntk(step, Theta) + step.xi_2**2 * Theta


def next_three_point(step: ResidualStep, K: Array, T3: Array) -> Array:
    """T3'_1(23) = xi_2^3 T3_1(23) + C_W xi_2 [sum_b <d_b(s2 s3)> K_1b + J0_23 . T3_1(..)]."""
    source = _gradient(step.q, K) + pair_contraction(step.J0, _pair_first(T3))
    return step.xi_2**3 * T3 + step.C_W * step.xi_2 * _single_first(source)


def next_residual_vertex(step: ResidualStep, K: Array, T3: Array, V: Array) -> Array:
    """V' = C_W^2 {Cov + J0 V J0 + Sym[q T3 J0]} + C_W xi_2^2 Sym[J0 . V + 2 J0 . K K + q T3] + xi_2^4 V.

    Cov = <s1 s2 s3 s4> - <s1 s2><s3 s4>; q_12;b = <d_b (s1 s2)>; Sym adds the term with (12) and (34) exchanged.
    """
    TJ = _single_first(pair_contraction(step.J0, _pair_first(T3)))
    KK = cross_pairs(outer(K, K))
    branch = step.ssss - outer(step.ss, step.ss) + sandwich(step.J0, V, step.J0) + _symmetrized(_gradient(step.q, TJ))
    mixed = pair_contraction(step.J0, V + KK + KK.swapaxes(0, 1)) + _gradient(step.q, T3)
    return step.C_W**2 * branch + step.C_W * step.xi_2**2 * _symmetrized(mixed) + step.xi_2**4 * V


def next_residual_metric_correction(step: ResidualStep, K: Array, G1: Array, T3: Array, V: Array) -> Array:
    """G1' = C_W [S_12 + (1/2) sum <d^3 (s1 s2)> T3] + xi_2^2 G1."""
    sss, ssd = step.third(K)
    single = np.einsum("aaa->a", T3)[:, None]
    own, other = np.einsum("aab->ab", T3), np.einsum("baa->ab", T3)
    half: Array = sss * single + ssd * (2.0 * own + other)
    return step.C_W * (mean_shift(step.J0, step.H0, G1, V) + (half + half.T) / 2.0) + step.xi_2**2 * G1


RESIDUAL_RECURSIONS: Mapping[str, Recursion] = recursions(
    K=next_residual_kernel,
    G1=next_residual_metric_correction,
    T3=next_three_point,
    V=next_residual_vertex,
    Theta=next_residual_ntk,
)


def _gradient(q: Array, Y: Array) -> Array:
    """sum over b in {1, 2} of q_12;b Y_b..., for Y of shape (N, ...)."""
    q_1, q_2 = np.moveaxis(q, -1, 0).reshape(2, *q.shape[:2], *(1,) * (Y.ndim - 1))
    return np.asarray(q_1 * Y[:, None] + q_2 * Y[None, :])


def _symmetrized(X: Array) -> Array:
    return X + exchange_pairs(X)


def _pair_first(T: Array) -> Array:
    return np.moveaxis(T, 0, -1)


def _single_first(T: Array) -> Array:
    return np.moveaxis(T, -1, 0)
