"""Leading statistics of the differential of the NTK (dNTK) and of its second differentials (ddNTK), layer by layer.

With v_a = lambda grad z_a, an index carrying neuron and input, the step -eta sum_c eps_c v_c of gradient descent changes the
NTK by contractions of higher derivatives of the network,

    dH_012 = D^2 z_0 [v_1, v_2],   ddI_0123 = D^3 z_0 [v_1, v_2, v_3],   ddII_1234 = <D^2 z_1 [., v_3], lambda D^2 z_2 [., v_4]>,

whose means at initialization define P, Q, R, S, T, U (Roberts, Yaida & Hanin, chapter 11), without the prefactor 1/n_{l-1}.
Notation of the recursions: one neuron's share of the next NTK and its derivatives at fixed Theta are

    X_12 = lambda_W s'1 s2 + C_W Theta_12 s''1 s'2,   d_1 X_12 = lambda_W s''1 s2 + C_W Theta_12 s'''1 s'2,
    Y_12 = d_2 X_12 = lambda_W s'1 s'2 + C_W Theta_12 s''1 s''2.
"""

from __future__ import annotations

import numpy as np

from rgflow.theory.initialization.contraction import Array, exchange_pairs, pair_contraction
from rgflow.theory.initialization.layers import recursions
from rgflow.theory.initialization.step import Step


def next_P(step: Step, Theta: Array, B: Array, P: Array) -> Array:
    """P'_0123 = C_W^2 Theta_01 Theta_02 <s''0 s'1 s'2 s3>
    + rho C_W^2 <s'1 s'2> {<s''0 s3> B_0012 + sum_b <d_b (s'0 s3)> P_012b}, b in {0, 3}.
    """
    quartic = step.averages.quartic
    source = np.einsum("ab,ac,abcd->abcd", Theta, Theta, quartic((2, 1, 1, 0)))
    carried = np.einsum("ad,aabc->abcd", step.averages.pair(2, 0), B)
    carried += _along_ds(step, P.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    return np.asarray(step.C_W**2 * (source + step.rho * np.einsum("bc,abcd->abcd", step.dd, carried)))


def next_Q(step: Step, Theta: Array, F: Array, Q: Array) -> Array:
    """Q'_0123 = C_W Theta_02 <X_01 s'2 s3>
    + rho C_W sum_bc {<d_b X_01> F_0b2c + C_W <s'0 s'1> Q_012c} <d_c (s'2 s3)>, b in {0, 1}, c in {2, 3}.
    """
    quartic = step.averages.quartic
    X = step.lambda_W * quartic((1, 0, 1, 0)) + step.C_W * _first(Theta) * quartic((2, 1, 1, 0))
    carried = _along_X(step, Theta, _ntk_first(F)) + step.C_W * _first(step.dd) * Q
    carried = exchange_pairs(_along_ds(step, exchange_pairs(carried)))
    return np.asarray(step.C_W * (np.einsum("ac,abcd->abcd", Theta, X) + step.rho * carried))


def next_R(step: Step, Theta: Array, B: Array, P: Array, R: Array) -> Array:
    """R'_0123 = C_W Theta_02 Theta_03 <d_0 X_01 s'2 s'3>
    + rho C_W <s'2 s'3> {<d_0 X_01> B_0023 + sum_b <d_b X_01> P_023b + C_W <s'0 s'1> R_0123}, b in {0, 1}.
    """
    quartic = step.averages.quartic
    d1_X = step.lambda_W * quartic((2, 0, 1, 1)) + step.C_W * _first(Theta) * quartic((3, 1, 1, 1))
    source = np.einsum("ac,ad,abcd->abcd", Theta, Theta, d1_X)
    carried = np.einsum("ab,aacd->abcd", _d1_X(step, Theta), B)
    carried += _along_X(step, Theta, P.transpose(0, 3, 1, 2)) + step.C_W * _first(step.dd) * R
    return np.asarray(step.C_W * (source + step.rho * step.dd * carried))


def next_S(step: Step, Theta: Array, B: Array, S: Array) -> Array:
    """S'_1234 = C_W Theta_13 Theta_24 <Y_12 s'3 s'4> + rho C_W <s'3 s'4> {<Y_12> B_1234 + C_W <s'1 s'2> S_1234}."""
    quartic = step.averages.quartic
    Y = step.lambda_W * quartic((1, 1, 1, 1)) + step.C_W * _first(Theta) * quartic((2, 2, 1, 1))
    source = np.einsum("ac,bd,abcd->abcd", Theta, Theta, Y)
    carried = _first(_Y(step, Theta)) * B + step.C_W * _first(step.dd) * S
    return np.asarray(step.C_W * (source + step.rho * step.dd * carried))


def next_T(step: Step, Theta: Array, F: Array, Q: Array, T: Array) -> Array:
    """T'_1324 = Theta_12 <X_13 X_24> + rho sum_bc {<d_b X_13> <d_c X_24> F_1b2c + C_W <s'2 s'4> <d_b X_13> Q_241b
    + C_W <s'1 s'3> <d_c X_24> Q_132c} + rho C_W^2 <s'1 s'3> <s'2 s'4> T_1324, b in {1, 3}, c in {2, 4}.
    """
    C_W, lambda_W, quartic = step.C_W, step.lambda_W, step.averages.quartic
    crossed = lambda_W * C_W * _first(Theta) * quartic((2, 1, 1, 0))
    XX = lambda_W**2 * quartic((1, 0, 1, 0)) + crossed + exchange_pairs(crossed)
    XX = XX + C_W**2 * _first(Theta) * Theta * quartic((2, 1, 2, 1))
    mixed = C_W * step.dd * _along_X(step, Theta, exchange_pairs(Q))
    along_one = exchange_pairs(_along_X(step, Theta, _ntk_first(F)))
    carried = exchange_pairs(_along_X(step, Theta, along_one)) + mixed + exchange_pairs(mixed)
    carried = carried + C_W**2 * _first(step.dd) * step.dd * T
    return np.asarray(np.einsum("ab,acbd->acbd", Theta, XX) + step.rho * carried)


def next_U(step: Step, Theta: Array, U: Array) -> Array:
    """U'_1423 = C_W^2 Theta_12 Theta_13 Theta_24 <s''1 s'4 s''2 s'3> + rho C_W^2 <s'1 s'4> <s'2 s'3> U_1423."""
    source = np.einsum("ab,ac,bd,adbc->adbc", Theta, Theta, Theta, step.averages.quartic((2, 1, 2, 1)))
    carried = _first(step.dd) * step.dd * U
    return np.asarray(step.C_W**2 * (source + step.rho * carried))


DNTK_RECURSIONS = recursions(P=next_P, Q=next_Q, R=next_R, S=next_S, T=next_T, U=next_U)


def _d1_X(step: Step, Theta: Array) -> Array:
    """<d_1 X_12>, (N, N)."""
    return step.lambda_W * step.averages.pair(2, 0) + step.C_W * Theta * step.averages.pair(3, 1)


def _Y(step: Step, Theta: Array) -> Array:
    """<Y_12>, (N, N)."""
    return step.lambda_W * step.dd + step.C_W * Theta * step.averages.pair(2, 2)


def _along_X(step: Step, Theta: Array, T: Array) -> Array:
    """Sum over b in {1, 2} of <d_b X_12> T_1b34."""
    return _along(_d1_X(step, Theta), _Y(step, Theta), T)


def _along_ds(step: Step, T: Array) -> Array:
    """Sum over b in {1, 2} of <d_b (s'1 s2)> T_1b34."""
    return _along(step.averages.pair(2, 0), step.dd, T)


def _ntk_first(F: Array) -> Array:
    """F_1324 with the slots of the NTK before those of the preactivations: E[H_ij;13 z_i;2 z_j;4]."""
    return F.transpose(1, 0, 3, 2)


def _first(pair: Array) -> Array:
    """A function of the first two of four legs."""
    return pair[:, :, None, None]


def _along(at_first: Array, at_second: Array, T: Array) -> Array:
    """at_first_12 T_1134 + at_second_12 T_1234."""
    return pair_contraction(np.stack([at_first, at_second, np.zeros_like(at_first)], axis=-1), T)
