"""Statistics of outputs, NTK and its differentials at initialization that training meets at order 1/n.

Parity of the last layer leaves E[z z], E[dH], E[dH z z], E[dH dH] of the NTK's fluctuation dH, E[dNTK z] and E[ddNTK]; the
four-point vertex V drops out. Here they are written as triples, in the rows of the eigenbasis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import xarray as xr

from rgflow.theory.initialization.contraction import Array
from rgflow.theory.learning.eigenbasis import Eigenbasis
from rgflow.theory.learning.triples import LAST, MIDDLE, OUTER, ErrorMoment, Triple

TENSORS = ("K", "G1", "Theta", "Theta1", "D", "F", "A", "B", "P", "Q", "R", "S", "T", "U")


class OutputTensors(NamedTuple):
    """Tensors of the output layer over samples, slots as in ``initialization_theory`` and ``dntk_theory``."""

    K: Array
    G1: Array
    Theta: Array
    Theta1: Array
    D: Array
    F: Array
    A: Array
    B: Array
    P: Array
    Q: Array
    R: Array
    S: Array
    T: Array
    U: Array

    @classmethod
    def of(cls, tensors: xr.Dataset) -> OutputTensors:
        """From a dataset of one layer, without the dimension ``layer``."""
        return cls(*(tensors[name].values for name in TENSORS))

    @property
    def ntk_ntk(self) -> Triple:
        """Fluctuations H_01 H_23."""
        return Triple(self.A, _slots("acbd", self.B), _slots("adbc", self.B))

    @property
    def ntk_outputs(self) -> Triple:
        """H_01 z_2 z_3, connected; D and F are stored with the slots of the outputs first."""
        F = _slots("badc", self.F)
        return Triple(_slots("cdab", self.D), _slots("acbd", F), _slots("adbc", F))

    @property
    def dntk_output(self) -> Triple:
        """dH_012 z_3."""
        return Triple(self.Q, _slots("acbd", self.Q), self.P)

    @property
    def ddntk_first(self) -> Triple:
        """ddI_0123."""
        return Triple(self.R, _slots("acdb", self.R), _slots("adbc", self.R))

    @property
    def ddntk_second(self) -> Triple:
        """ddII_0123."""
        return Triple(self.S, _slots("acbd", self.T), _slots("adbc", self.U))


def _slots(order: str, T: Array) -> Array:
    """The view X_abcd = T_order."""
    return np.asarray(np.einsum(f"{order}->abcd", T))


class Moving(NamedTuple):
    """A differential of the NTK with slots x, p, q, and its correlation with outputs."""

    z: Triple
    """With z_y, (x, p, q, y)."""
    z_p: Array
    """With z_p, summed over the component of p, (x, q, p)."""
    z_q: Array
    """With z_q, summed over the component of q, (x, p, q)."""


@dataclass(frozen=True)
class RowStatistics:
    """The statistics in the eigenbasis: slots x, y over all rows, p, q, s over train modes; whatever time does not touch."""

    moment: ErrorMoment
    K: Array
    """(x, p)."""
    G1: Array
    """(x, y)."""
    H1: Array
    """Mean of the NTK at order 1/n, (x, y)."""
    H_H_chained: Array
    """<H_xp H_pq> summed over the component of p, (x, p, q)."""
    H_H: Triple
    """<H_xp H_yq>."""
    H_z_chained: Array
    """<H_yp z_p z_x>, (y, x, p)."""
    dH: Moving
    """dH_xpq."""
    dH_exchanged: Moving
    """dH_pxq."""
    cubic: Mapping[str, Triple]
    """What the kernels c1 to c4 multiply, (x, p, q, s)."""
    ntk_dH_z: Array
    """<(dH_xyc + dH_yxc) z_c>, (x, y, c)."""
    ntk_a: Triple
    """M_xycd + M_yxcd."""
    ntk_b: Triple
    """ddI_xycd + ddI_yxcd + 2 ddII_xycd."""


def row_statistics(tensors: OutputTensors, basis: Eigenbasis, train_targets: Array) -> RowStatistics:
    """Bring tensors to the eigenbasis.

    Parameters
    ----------
    tensors
        Tensors of the output layer, train samples first.
    basis
        The basis of their NTK.
    train_targets
        (train sample, output).
    """
    train, rows, (N, N_A) = basis.train, basis.rows, (len(basis.rows), len(basis.theta))
    K, G1, H1 = (rows @ T @ rows.T for T in (tensors.K, tensors.G1, tensors.Theta1))
    moment = ErrorMoment(K[:N_A, :N_A], train_targets.T @ train.T)
    H_H = tensors.ntk_ntk.project(rows, train, rows, train)
    H_zz = tensors.ntk_outputs.project(rows, train, train, rows)
    dH_z = tensors.dntk_output.project(rows, rows, train, rows)
    ddI, ddII, M = _second_differentials(tensors, rows, train)
    return RowStatistics(
        moment,
        K[:, :N_A],
        G1,
        H1,
        moment.contract_equal(H_H.first(N, N_A, N_A, N_A), MIDDLE).swapaxes(1, 2),
        H_H,
        moment.contract_equal(H_zz, MIDDLE),
        _moving(dH_z, moment),
        _moving(dH_z.exchanged_01, moment),
        _cubic(*(T.first(N, N_A, N_A, N_A) for T in (ddI, ddI.exchanged_01, ddII, M, M.exchanged_01))),
        moment.contract_equal((dH_z + dH_z.exchanged_01).first(N, N, N_A, N_A), LAST),
        M + M.exchanged_01,
        ddI + ddI.exchanged_01 + 2.0 * ddII,
    )


def _moving(dH_z: Triple, moment: ErrorMoment) -> Moving:
    N, N_A = len(dH_z.X1), len(moment.K)
    train = dH_z.first(N, N_A, N_A, N_A)
    z_p, z_q = (moment.contract_equal(train, pair) for pair in (OUTER, LAST))
    return Moving(dH_z.first(N, N_A, N_A, N), z_p, z_q)


def _second_differentials(tensors: OutputTensors, rows: Array, train: Array) -> tuple[Triple, Triple, Triple]:
    """ddI, ddII and M_0123 = ddI_0123 + ddII_0123 + ddII_0213 (a step changes dH_012 by -eta M_012c eps_c), in rows."""
    ddI, ddII, ddII_crossed = (
        T.project(rows, rows, train, train)
        for T in (tensors.ddntk_first, tensors.ddntk_second, tensors.ddntk_second.exchanged_12)
    )
    return ddI, ddII, ddI + ddII + ddII_crossed


def _cubic(ddI: Triple, ddI_exchanged: Triple, ddII: Triple, M: Triple, M_exchanged: Triple) -> dict[str, Triple]:
    """The third-order response C = (c1 + c3/2) M_xpqs + c1 M_pxqs + (c2/2 + c4/6) ddI_xpqs + c2/2 ddI_pxqs + c2 ddII_xpqs."""
    return {
        "c1": M + M_exchanged,
        "c2": 0.5 * (ddI + ddI_exchanged) + ddII,
        "c3": 0.5 * M,
        "c4": (1.0 / 6.0) * ddI,
    }
