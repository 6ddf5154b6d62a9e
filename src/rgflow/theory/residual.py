"""Residual networks z' = xi_1 (b + W sigma(z)) + xi_2 z: kernel, NTK mean, three-point correlator, vertex, NLO metric.

The skip connection breaks z_i -> -z_i per neuron, so unless sigma is odd a three-point correlator T appears at order
1/n and feeds the vertex: E[z_i;1 z_j;2 z_j;3] = T_1(23) / n for i != j. Dropping it is wrong at leading order for relu,
gelu and swish.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.theory.contraction import Array, cross_pairs, exchange_pairs, outer, pair_contraction, sandwich
from rgflow.theory.kernel import first_kernel, mean_shift, next_kernel
from rgflow.theory.layers import Tensors, evolve
from rgflow.theory.ntk import first_ntk, next_ntk
from rgflow.theory.step import Step


def residual_theory(network: Network, inputs: Inputs, xi_1: float, xi_2: float, rtol: float = 1e-10) -> xr.Dataset:
    """Leading finite-width tensors of a residual network in every layer.

    The first layer is plain; every later one is z' = xi_1 (b + W sigma(z)) + xi_2 z.

    Parameters
    ----------
    network
        Network with n_1 = ... = n_L, as the skip connection needs.
    inputs
        (sample, feature) array of N inputs.
    xi_1, xi_2
        Strength of the residual block and of the skip connection.
    rtol
        Relative accuracy asked of every Gaussian average.

    Returns
    -------
    Dataset on ``layer`` and ``sample_1`` .. ``sample_4`` with K, Theta, and, without their factor 1/n, G1, T (T_1(23),
    symmetric in 2 and 3) and V; and ``quadrature_error`` (layer).

    Raises
    ------
    RgflowError
        Unusable inputs, unequal widths, coefficients that are not finite, a kinked activation that is not
        scale-invariant, an average that does not reach ``rtol``, or a tensor that is not finite.
    """
    _require_residual(network, xi_1, xi_2)
    gram = input_gram(network, inputs)
    N = len(gram)
    first = {
        "K": first_kernel(network, gram),
        "Theta": first_ntk(network, gram),
        "G1": np.zeros((N,) * 2),
        "T": np.zeros((N,) * 3),
        "V": np.zeros((N,) * 4),
    }

    def advance(layer: int, current: Tensors) -> tuple[Tensors, float]:
        step = ResidualStep(network, layer, current["K"], (xi_1, xi_2), rtol)
        return _next_layer(step, current), step.averages.error

    return evolve(network.depth, first, advance)


class ResidualStep(Step):
    """One residual step: the averages of a plain step and those odd in the number of sigmas' derivatives."""

    def __init__(self, network: Network, layer: int, K: Array, xi: tuple[float, float], rtol: float) -> None:
        super().__init__(network, layer, Expectations(network.activation, K, rtol))
        self.slopes, self.K = network.activation.slopes, K
        self.xi_1, self.xi_2 = xi
        self.c = self.xi_1**2 * self.C_W

    @cached_property
    def q(self) -> Array:
        """<d_beta (sigma_1 sigma_2)> for beta = 1, 2, (N, N, 2)."""
        ds = self.averages.pair(1, 0)
        return np.stack([ds, ds.T], axis=-1)

    @cached_property
    def third(self) -> tuple[Array, Array]:
        """<sigma'''_1 sigma_2> and <sigma''_1 sigma'_2>, (N, N) each.

        For slopes a_+, a_- the latter is (a_+^2 - a_-^2) / (2 sqrt(2 pi K_11)), the former -K_12/K_11 times it.
        """
        if self.slopes is None:
            return self.averages.pair(3, 0), self.averages.pair(2, 1)
        a_minus, a_plus = self.slopes
        variance = np.diag(self.K)[:, None]
        ssd = (a_plus**2 - a_minus**2) / (2.0 * np.sqrt(2.0 * math.pi * variance)) * np.ones_like(self.K)
        return -self.K / variance * ssd, ssd


def next_three_point(step: ResidualStep, K: Array, T: Array) -> Array:
    """T'_1(23) = xi_2^3 T_1(23) + c xi_2 [sum_b <d_b(s2 s3)> K_1b + J0_23 . T_1(..)]."""
    source = _gradient(step.q, K) + pair_contraction(step.J0, _pair_first(T))
    return step.xi_2**3 * T + step.c * step.xi_2 * _single_first(source)


def next_residual_vertex(step: ResidualStep, K: Array, T: Array, V: Array) -> Array:
    """V' = c^2 {Cov + J0 V J0 + Sym[q T J0]} + c xi_2^2 Sym[J0 . V + 2 J0 . K K + q T] + xi_2^4 V.

    Cov = <s1 s2 s3 s4> - <s1 s2><s3 s4>; q_12;b = <d_b (s1 s2)>; Sym adds the term with (12) and (34) exchanged.
    """
    TJ = _single_first(pair_contraction(step.J0, _pair_first(T)))
    KK = cross_pairs(outer(K, K))
    branch = step.ssss - outer(step.ss, step.ss) + sandwich(step.J0, V, step.J0) + _symmetrized(_gradient(step.q, TJ))
    mixed = pair_contraction(step.J0, V + KK + KK.swapaxes(0, 1)) + _gradient(step.q, T)
    return step.c**2 * branch + step.c * step.xi_2**2 * _symmetrized(mixed) + step.xi_2**4 * V


def next_residual_metric_correction(step: ResidualStep, G1: Array, T: Array, V: Array) -> Array:
    """G1' = c [S_12 + (1/2) sum <d^3 (s1 s2)> T] + xi_2^2 G1."""
    sss, ssd = step.third
    single = np.einsum("aaa->a", T)[:, None]
    own, other = np.einsum("aab->ab", T), np.einsum("baa->ab", T)
    half: Array = sss * single + ssd * (2.0 * own + other)
    return step.c * (mean_shift(step.J0, step.H0, G1, V) + (half + half.T) / 2.0) + step.xi_2**2 * G1


def _next_layer(step: ResidualStep, t: Tensors) -> Tensors:
    K, Theta = t["K"], t["Theta"]
    return {
        "K": step.xi_1**2 * next_kernel(step) + step.xi_2**2 * K,
        "Theta": step.xi_1**2 * next_ntk(step, Theta) + step.xi_2**2 * Theta,
        "G1": next_residual_metric_correction(step, t["G1"], t["T"], t["V"]),
        "T": next_three_point(step, K, t["T"]),
        "V": next_residual_vertex(step, K, t["T"], t["V"]),
    }


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


def _require_residual(network: Network, xi_1: float, xi_2: float) -> None:
    if len(set(network.widths[1:])) != 1:
        raise RgflowError(f"widths = {network.widths}; a skip connection needs n_1 = ... = n_L")
    if network.activation.kinks and network.activation.slopes is None:
        raise RgflowError(
            f"residual theory of {network.activation.label}: of kinks only relu, leaky_relu are supported"
        )
    if not (math.isfinite(xi_1) and math.isfinite(xi_2)):
        raise RgflowError(f"xi_1 = {xi_1}, xi_2 = {xi_2}; they must be finite")
