"""Bayesian inference to order 1/n: how finite width moves the posterior of the outputs, the evidence and the hidden layer.

The outputs' prior is [1 + V d d d d/(8n) + G1 d d/(2n)] N(0, K), summed over pairs of output components; conditioning it on the
train targets gives the coefficients of 1/n below, n = n_{L-1}. Legs over all samples come train first; A marks the train set,
and T^D a leg from which the train samples' prediction is taken away (``Conditioning.project``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.conditioning import Conditioning


class KernelTensors(NamedTuple):
    """K, G1 (sample, sample) and V (sample, sample, sample, sample) of the output layer."""

    K: Array
    G1: Array
    V: Array


class HiddenTensors(NamedTuple):
    """K, G1, V of the last hidden layer, and the Jacobian J0 (sample, sample, 3) of its <sigma_1 sigma_2>."""

    K: Array
    G1: Array
    V: Array
    J0: Array


def metric_parts(given: Conditioning, G1: Array) -> dict[str, Array]:
    """What a shift G1 of the kernel does to mean (sample, output), covariance of each output (sample, sample), log evidence.

    Mean G1^D_{bA} v_i, covariance G1^DD, log evidence G1_AA . Y/2.
    """
    train = slice(given.train_count)
    projected = given.project(G1)
    return {
        "posterior_mean": projected[:, train] @ given.v,
        "posterior_covariance": given.project(projected, 1),
        "log_evidence": np.asarray(0.5 * np.sum(G1[train, train] * given.mismatch)),
    }


def vertex_parts(given: Conditioning, V: Array) -> dict[str, Array]:
    """The same of the vertex, for all that does not couple different outputs."""
    return {
        "posterior_mean": _vertex_mean(given, V),
        "posterior_covariance": _vertex_covariance(given, V),
        "log_evidence": _vertex_log_evidence(given, V),
    }


def _vertex_mean(given: Conditioning, V: Array) -> Array:
    """V^D_{(ba)(cd)} (v_ia Y_cd / 2 - K~^{-1}_ac v_id)."""
    train = slice(given.train_count)
    projected = given.project(V[:, train, train, train])
    scale = np.einsum("bacd,cd->ba", projected, given.mismatch) @ given.v / 2
    return np.asarray(scale - np.einsum("bacd,ac,di->bi", projected, given.inverse, given.v, optimize=True))


def _vertex_covariance(given: Conditioning, V: Array) -> Array:
    """V^DD_{(bb')(cd)} Y_cd / 2 - V^DD_{(bc)(b'd)} K~^{-1}_cd, b and b' projected."""
    train = slice(given.train_count)
    scale = np.einsum("abcd,cd->ab", V[:, :, train, train], given.mismatch) / 2
    exchange = np.einsum("acbd,cd->ab", V[:, train, :, train], given.inverse)
    return given.project(given.project(scale - exchange), 1)


def _vertex_log_evidence(given: Conditioning, V: Array) -> Array:
    """V_{(ab)(cd)} [Y_ab Y_cd - 4 K~^{-1}_ac sum_i v_ib v_id + 2 n_L K~^{-1}_ac K~^{-1}_bd] / 8."""
    train = slice(given.train_count)
    V = V[train, train, train, train]
    scale = np.einsum("abcd,ab,cd->", V, given.mismatch, given.mismatch, optimize=True)
    once = np.einsum("abcd,ac->bd", V, given.inverse)
    pairs = -4.0 * given.v @ given.v.T + 2.0 * given.outputs * given.inverse
    return np.asarray((scale + np.sum(once * pairs)) / 8)


def hebbian_covariance(given: Conditioning, V: Array) -> Array:
    """V^DD_{(bc)(b'd)} v_ic v_jd, (output_1, output_2, sample_1, sample_2): all that couples outputs i and j."""
    train = slice(given.train_count)
    projected = given.project(given.project(V[:, train, :, train]), 2)
    return np.asarray(np.einsum("acbd,ci,dj->ijab", projected, given.v, given.v, optimize=True))


def learned_kernel(given: Conditioning, V: Array) -> Array:
    """V_{(..)(ac)} Y_ac / 2: what the data add to the last hidden layer's kernel, over its prior shift G1; (sample, sample)."""
    train = slice(given.train_count)
    return np.asarray(np.einsum("abcd,cd->ab", V[:, :, train, train], given.mismatch) / 2)


def log_weight_variance(given: Conditioning, V: Array) -> Array:
    """c = V_{(ab)(cd)} Y_ab Y_cd / 4: the log likelihood of networks drawn from the prior has the variance c/n.

    Of N such networks, weighted by their likelihoods, exp(-c/n) N count.
    """
    train = slice(given.train_count)
    return np.asarray(np.sum(learned_kernel(given, V)[train, train] * given.mismatch) / 2)


def preactivation_parts(mismatch: Array, hidden: HiddenTensors, C_W: float, rho: float) -> dict[str, Array]:
    """Coefficients of 1/n in E[z_a z_b | y] of a preactivation of the last hidden layer, (sample, sample) each.

    ``prior`` is rho G1; the data add C_W/2 Y_cd Cov_n(z_a z_b, sigma_c sigma_d), where Cov_n is n times a covariance:
    of the ``same`` neuron, <z_a z_b sigma_c sigma_d> - K_ab <sigma_c sigma_d> = J0_cd . (K_ca K_db + K_cb K_da) by Stein's
    lemma, and with all ``other`` neurons through the layers below, rho J0_cd . V.

    Parameters
    ----------
    mismatch
        Y, (train, train).
    hidden
        Tensors of layer L-1.
    C_W, rho
        C_W of layer L and n_{L-1}/n_{L-2}.
    """
    train = slice(len(mismatch))
    W = kernel_gradient(mismatch, hidden.J0[train, train])
    reach = hidden.K[:, train]
    return {
        "prior": rho * hidden.G1,
        "same": C_W * reach @ W @ reach.T,
        "other": C_W / 2 * rho * np.einsum("abcd,cd->ab", hidden.V[:, :, train, train], W),
    }


def kernel_gradient(Y: Array, J: Array) -> Array:
    """d/dK_ab of sum_cd Y_cd <sigma_c sigma_d>_K, as a symmetric matrix W: the sum changes by sum_ab W_ab dK_ab.

    Parameters
    ----------
    Y
        (N, N), symmetric.
    J
        (N, N, 3) Jacobian of <sigma_c sigma_d> in (K_cc, K_cd, K_dd).
    """
    W = Y * J[..., 1]
    own = np.sum(Y * J[..., 0], axis=1) + np.sum(Y * J[..., 2], axis=0)
    return np.asarray(W + np.diag(own))


def output_coefficients(given: Conditioning, tensors: KernelTensors) -> dict[str, Array]:
    """All coefficients of 1/n that need the tensors of the output layer, by the names of ``bayes_theory``."""
    metric, vertex = metric_parts(given, tensors.G1), vertex_parts(given, tensors.V)
    hebbian = hebbian_covariance(given, tensors.V)
    same_output = np.eye(given.outputs)[:, :, None, None]
    learned = learned_kernel(given, tensors.V)
    parts = {f"{name}1_metric": value for name, value in metric.items()}
    parts |= {f"{name}1_vertex": value for name, value in vertex.items()}
    return parts | {
        "posterior_mean1": metric["posterior_mean"] + vertex["posterior_mean"],
        "posterior_covariance1": same_output * (metric["posterior_covariance"] + vertex["posterior_covariance"])
        + hebbian,
        "posterior_covariance1_hebbian": hebbian,
        "log_evidence1": metric["log_evidence"] + vertex["log_evidence"],
        "hidden_kernel1": tensors.G1 + learned,
        "hidden_kernel1_learned": learned,
        "log_weight_variance": log_weight_variance(given, tensors.V),
    }


def hidden_coefficients(mismatch: Array, hidden: HiddenTensors, C_W: float, rho: float) -> dict[str, Array]:
    """The coefficients of one preactivation of the last hidden layer, by the names of ``bayes_theory``."""
    parts = preactivation_parts(mismatch, hidden, C_W, rho)
    named = {f"preactivation_kernel1_{name}": value for name, value in parts.items()}
    return named | {"preactivation_kernel1": np.sum(list(parts.values()), axis=0)}
