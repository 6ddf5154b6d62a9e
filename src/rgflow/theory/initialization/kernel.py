"""The kernel K and its leading finite-width correction G1."""

from __future__ import annotations

from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array, hessian_contraction, pair_contraction
from rgflow.theory.initialization.step import Step


def first_kernel(network: Network, gram: Array) -> Array:
    """K_12 = C_b + C_W x_1 . x_2 / n_0."""
    return network.C_b[0] + network.C_W[0] * gram


def next_kernel(step: Step) -> Array:
    """K'_12 = C_b + C_W <sigma_1 sigma_2>."""
    return step.C_b + step.C_W * step.ss


def next_metric_correction(step: Step, G1: Array, V: Array) -> Array:
    """G1'_12 = rho C_W S_12, the shift of <sigma_1 sigma_2> by mean and variance of the metric."""
    return step.rho * step.C_W * mean_shift(step.J0, step.H0, G1, V)


def mean_shift(J: Array, H: Array, G1: Array, V: Array) -> Array:
    """S_12 = J_12 . G1 + (1/8) sum <d^4 (phi_1 phi_2)> V: first-order shift of a pair mean <phi_1 phi_2>; (N, N).

    The second term is half the contraction of the Hessian of the pair mean with the covariance V of the metric.
    """
    return pair_contraction(J, G1) + hessian_contraction(H, V)
