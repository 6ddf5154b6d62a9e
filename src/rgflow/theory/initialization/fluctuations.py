"""Leading fluctuations of the neural tangent kernel: D and F (with preactivations), A and B (with itself).

Omega_12 = lambda_W s1 s2 + C_W Theta_12 s'1 s'2 is one neuron's contribution to the next NTK, P_12 = <s'1 s'2>, and
JOmega = lambda_W J0 + C_W Theta J1 is the Jacobian of <Omega> at fixed Theta.
"""

from __future__ import annotations

from rgflow.theory.initialization.contraction import (
    Array,
    cross_pairs,
    exchange_pairs,
    leg_contraction,
    outer,
    pair_contraction,
    sandwich,
)
from rgflow.theory.initialization.step import Step


def next_D(step: Step, Theta: Array, V: Array, D: Array) -> Array:
    """D'_1234 = C_W {<s1 s2 Omega_34> - <s1 s2><Omega_34> + rho [J0_12 V JOmega_34 + C_W J0_12 . D_..34 P_34]}.

    Slots: the two inputs of the preactivations, then the two of the NTK.
    """
    covariance = _ss_omega(step, Theta) - outer(step.ss, _mean_omega(step, Theta))
    propagated = sandwich(step.J0, V, _jacobian_omega(step, Theta)) + step.C_W * pair_contraction(step.J0, D) * step.dd
    return step.C_W * (covariance + step.rho * propagated)


def next_F(step: Step, Theta: Array, F: Array) -> Array:
    """F'_1324 = C_W^2 {<s1 s2 s'3 s'4> Theta_34 + rho sum_bb' <d_b(s1 s'3)> <d_b'(s2 s'4)> F_b3b'4}.

    Slots: input of a preactivation and its NTK leg, then the same for the other neuron; b in {1, 3}, b' in {2, 4}.
    """
    source = cross_pairs(step.ssdd * Theta)
    propagated = exchange_pairs(leg_contraction(step.q_sd, exchange_pairs(leg_contraction(step.q_sd, F))))
    return step.C_W**2 * (source + step.rho * propagated)


def next_A(step: Step, Theta: Array, V: Array, D: Array, A: Array) -> Array:
    """A'_(12)(34) = <Omega_12 Omega_34> - <Omega_12><Omega_34> + rho [JOmega_12 V JOmega_34 + C_W (JOmega_12 . D_..34)
    P_34 + C_W (JOmega_34 . D_..12) P_12 + C_W^2 P_12 P_34 A_(12)(34)]; slots: one NTK, the other NTK.
    """
    J_omega, mean = _jacobian_omega(step, Theta), _mean_omega(step, Theta)
    mixed = pair_contraction(J_omega, D) * step.dd
    propagated = (
        sandwich(J_omega, V, J_omega)
        + step.C_W * (mixed + exchange_pairs(mixed))
        + step.C_W**2 * outer(step.dd, step.dd) * A
    )
    return _omega_omega(step, Theta) - outer(mean, mean) + step.rho * propagated


def next_B(step: Step, Theta: Array, B: Array) -> Array:
    """B'_1324 = C_W^2 {<s'1 s'2 s'3 s'4> Theta_12 Theta_34 + rho P_13 P_24 B_1324}.

    Inputs 12 belong to the first NTK and 34 to the second; slots 1324.
    """
    source = cross_pairs(step.dddd * outer(Theta, Theta))
    return step.C_W**2 * (source + step.rho * outer(step.dd, step.dd) * B)


def _mean_omega(step: Step, Theta: Array) -> Array:
    return step.lambda_W * step.ss + step.C_W * Theta * step.dd


def _jacobian_omega(step: Step, Theta: Array) -> Array:
    return step.lambda_W * step.J0 + step.C_W * Theta[..., None] * step.J1


def _ss_omega(step: Step, Theta: Array) -> Array:
    """<s1 s2 Omega_34>."""
    return step.lambda_W * step.ssss + step.C_W * Theta * step.ssdd


def _omega_omega(step: Step, Theta: Array) -> Array:
    """<Omega_12 Omega_34>."""
    return (
        step.lambda_W * _ss_omega(step, Theta)
        + step.lambda_W * step.C_W * exchange_pairs(Theta * step.ssdd)
        + step.C_W**2 * outer(Theta, Theta) * step.dddd
    )
