"""The mean of the neural tangent kernel: Theta and its leading finite-width correction Theta1."""

from __future__ import annotations

import numpy as np

from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array, cross_pairs, own_pairs
from rgflow.theory.initialization.kernel import mean_shift
from rgflow.theory.initialization.step import Step


def first_ntk(network: Network, gram: Array) -> Array:
    """Theta_12 = lambda_b + lambda_W x_1 . x_2 / n_0."""
    return network.lambda_b[0] + network.lambda_W[0] * gram


def next_ntk(step: Step, Theta: Array) -> Array:
    """Theta'_12 = lambda_b + lambda_W <s1 s2> + C_W <s'1 s'2> Theta_12."""
    return step.lambda_b + step.lambda_W * step.ss + step.C_W * step.dd * Theta


def next_ntk_correction(step: Step, Theta1: Array, Theta: Array, G1: Array, V: Array, D: Array, F: Array) -> Array:
    """Theta1'_12 = rho {lambda_W S_12 + C_W [P_12 Theta1_12 + Theta_12 S1_12 + J1_12 . (D_..12 + 2 F_.1.2)]}.

    S and S1 are the shifts of <s1 s2> and of P_12 = <s'1 s'2>.
    """
    S, S1 = mean_shift(step.J0, step.H0, G1, V), mean_shift(step.J1, step.H1, G1, V)
    mixed: Array = np.sum(step.J1 * own_pairs(D + 2.0 * cross_pairs(F)), axis=-1)
    return step.rho * (step.lambda_W * S + step.C_W * (step.dd * Theta1 + Theta * S1 + mixed))
