"""Contractions of pair Jacobians with tensors over inputs.

A pair mean f_12 = <phi_1 phi_2>_K depends on K only through K_11, K_12 and K_22, so a Jacobian J_12 has three slots per
pair, d f_12 / d(K_11, K_12, K_22), with K_12 = K_21 one variable. Using the slots keeps every contraction of an
(N, N, N, N) tensor at O(N^4). On the diagonal 1 = 2 only the first slot is used.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def pair_contraction(J: Array, T: Array) -> Array:
    """Sum over pairs of J_{12, beta beta'} T_{beta beta' ...}: over 11, 12 and 22.

    Parameters
    ----------
    J
        (N, N, 3) Jacobian of a pair mean.
    T
        (N, N, ...) tensor.

    Returns
    -------
    (N, N, ...) array.
    """
    diagonal = np.ascontiguousarray(_diagonal(T))
    result = np.empty(T.shape)
    for row, J_row, T_row, own in zip(result, J, T, diagonal, strict=True):  # one at a time fits the cache
        J_11, J_12, J_22 = J_row.T.reshape(3, -1, *(1,) * (T.ndim - 2))
        np.multiply(J_12, T_row, out=row)
        row += J_11 * own
        row += J_22 * diagonal
    return result


def sandwich(J_left: Array, T: Array, J_right: Array) -> Array:
    """Sum over both pairs of J_{12, beta beta'} T_{(beta beta')(gamma gamma')} J_{34, gamma gamma'}; (N, N, N, N)."""
    return exchange_pairs(pair_contraction(J_right, exchange_pairs(pair_contraction(J_left, T))))


def leg_contraction(q: Array, T: Array) -> Array:
    """Sum over beta in {1, 2} of q_{12; beta} T_{beta 2 ...}, with q = <d_beta (phi_1 psi_2)> of shape (N, N, 2).

    The second leg of T keeps its label 2; T has shape (N, N, ...) and need not be symmetric.
    """
    return pair_contraction(np.pad(q, ((0, 0), (0, 0), (1, 0))), T)


def own_pairs(T: Array) -> Array:
    """The entries of T that a pair's own three slots meet: T_{(11)12}, T_{(12)12}, T_{(22)12}; (N, N, 3).

    The middle one is averaged over the order of its first two legs.
    """
    first = np.einsum("aaab->ab", T)
    middle = (np.einsum("abab->ab", T) + np.einsum("baab->ab", T)) / 2
    last = np.einsum("bbab->ab", T)
    return np.stack([first, middle, last], axis=-1)


def hessian_contraction(H: Array, V: Array) -> Array:
    """Half the second-order response of a pair mean, (1/2) sum_kk' f_{12, kk'} V_kk'; (N, N).

    Parameters
    ----------
    H
        (N, N, 3, 3) second derivatives with respect to (K_11, K_12, K_22).
    V
        (N, N, N, N) vertex, the covariance of the metric.
    """
    a, b = np.indices(V.shape[:2])
    left, right = np.stack([a, a, b], axis=-1), np.stack([a, b, b], axis=-1)
    covariance = V[left[..., :, None], right[..., :, None], left[..., None, :], right[..., None, :]]
    return np.asarray(np.sum(H * covariance, axis=(-2, -1)) / 2)


def outer(f: Array, g: Array) -> Array:
    """Product f_12 g_34 of two pair functions; (N, N, N, N)."""
    return np.asarray(np.multiply.outer(f, g))


def exchange_pairs(T: Array) -> Array:
    """T_{1234} -> T_{3412}."""
    return T.transpose(2, 3, 0, 1)


def cross_pairs(T: Array) -> Array:
    """T_{1234} -> array in the slot order 1324 of F and B (its own inverse)."""
    return T.transpose(0, 2, 1, 3)


def _diagonal(T: Array) -> Array:
    diagonal: Array = np.einsum("aa...->a...", T)
    return diagonal
