"""The three ways in which finite width changes training at order 1/n, kept apart.

* frozen: the NTK of each network differs from the mean but does not move (with the metric's own correction G1);
* dNTK: the NTK moves, linearly in the errors it is moved by;
* ddNTK: the motion itself changes and steps have their curvature; its mean is all that counts.

Each adds to the outputs, z(t) = z_frozen(t) + ..., a response R of the mean and what it remembers of the initial outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.dynamics import KernelsInTime
from rgflow.theory.learning.statistics import Moving, RowStatistics
from rgflow.theory.learning.triples import LAST, MIDDLE, OUTER, Coupling, ErrorMoment, weighted_sum

PARTS = ("frozen", "dNTK", "ddNTK")


@dataclass(frozen=True)
class Part:
    """One part of order 1/n at one time, in the eigenbasis.

    Attributes
    ----------
    response
        R_xp: the mean of the output is R_xp y_p, shape (x, p).
    memory
        E[z_x(0) {z_y(t) - z_y at infinite width}], shape (y, x).
    ntk
        Mean NTK, shape (x, y).
    """

    response: Array
    memory: Coupling
    ntk: Coupling


def frozen(row: RowStatistics, k: KernelsInTime) -> Part:
    """R = g H1 - gg <H H>; remembers -R K - g <H z z>."""
    N_A = len(k.f)
    response = k.g * row.H1[:, :N_A] - _contracted("xpq,xpq->xq", k.gg, row.H_H_chained)
    memory = -response @ row.K.T - _contracted("yp,yxp->yx", k.g, row.H_z_chained)
    return Part(response, _equal_components(memory, row.moment), _equal_components(row.H1, row.moment))


def first_dynamical(row: RowStatistics, k: KernelsInTime) -> Part:
    """With D_xpq = (a + b)_xpq dH_xpq + a_xpq dH_pxq: R_xq = -<D_xpq z_p>, R_xp = -<D_xpq z_q>; remembers -R K and
    <D_ypq z_x> E[eps_p eps_q].
    """
    hessian, mixed = k.a + k.b, k.a
    response = -_first_response(hessian, row.dH) - _first_response(mixed, row.dH_exchanged)
    with_z = row.moment.contract(row.dH.z, MIDDLE, epq=hessian) + row.moment.contract(
        row.dH_exchanged.z, MIDDLE, epq=mixed
    )
    memory = with_z + _equal_components(-response @ row.K.T, row.moment)
    return Part(response, memory, _equal_components(-row.ntk_dH_z @ k.f, row.moment))


def second_dynamical(row: RowStatistics, k: KernelsInTime) -> Part:
    """With C_xpqs: R_xp = C_xpqs E[eps_q eps_s] and its two permutations; remembers -R K, components of R not summed."""
    C = weighted_sum(k.c, row.cubic)
    R = row.moment.contract(C, LAST) + row.moment.contract(C, OUTER) + row.moment.contract(C, MIDDLE)
    ntk = row.moment.contract(row.ntk_a, LAST, pq=k.a_hat)
    if k.b_hat.any():
        ntk = ntk + row.moment.contract(row.ntk_b, LAST, pq=k.b_hat)
    return Part(R.same, -(R @ row.K.T), ntk)


def all_parts(row: RowStatistics, k: KernelsInTime) -> tuple[Part, ...]:
    """All parts in the order of ``PARTS``."""
    return frozen(row, k), first_dynamical(row, k), second_dynamical(row, k)


def frozen_covariance(row: RowStatistics, k_1: KernelsInTime, k_2: KernelsInTime) -> Coupling:
    """What is not memory: u_x^t u_y^t' G1_xy + g_xp(t) g_yq(t') <H_xp H_yq> E[eps_p eps_q]."""
    from_start = _equal_components(np.outer(k_1.decay, k_2.decay) * row.G1, row.moment)
    return from_start + row.moment.contract(row.H_H, OUTER, ep=k_1.g, fq=k_2.g)


def remembered_covariance(part_1: Part, k_1: KernelsInTime, part_2: Part, k_2: KernelsInTime) -> Coupling:
    """u_x^t memory_yx(t') + u_y^t' memory_xy(t)."""
    return part_2.memory.transposed * k_1.decay[:, None] + part_1.memory * k_2.decay


def _first_response(kernel: Array, dH: Moving) -> Array:
    return _contracted("xpq,xqp->xq", kernel, dH.z_p) + _contracted("xpq,xpq->xp", kernel, dH.z_q)


def _equal_components(same: Array, moment: ErrorMoment) -> Coupling:
    return Coupling(same, np.zeros((moment.n_L, moment.n_L, *same.shape)))


def _contracted(indices: str, kernel: Array, X: Array) -> Array:
    return np.asarray(np.einsum(indices, kernel, X))
