"""Gaussian averages over many inputs: up to two inputs exactly, three and four as means over randomized nodes with controls.

A pair function f_ab = sigma_a sigma_b has the part J_ab . W of second order in its Hermite expansion, with W = z z - K and
J the Jacobian of <f_ab>. Means of W f and W W are known, <W_ab W_cd> = K_ac K_bd + K_ad K_bc, so what the nodes make of
them corrects what they make of <f f>:

    <f g> = mean(f g) - b_1 (J_f mean(W g) - exact) - b_2 (mean(f W) J_g - exact) - b_3 (J_f mean(W W) J_g - exact),

exact = J_f <W W> J_g. With b = (1, 1, -1) the parts of second order would be integrated exactly; the best b is fit on few
inputs with nodes of their own, so the estimates stay unbiased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rgflow.gaussian.averages import Orders
from rgflow.gaussian.expectations import Expectations, arrangement
from rgflow.gaussian.moments import Array
from rgflow.gaussian.node_sums import WICK, NodeSums, PairOrders, pair_numbers, pairs

_PAIRINGS = ((0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 1, 2))


class Control:
    """What corrects the means over nodes in one layer, made when first asked for and the same for all nodes.

    Parameters
    ----------
    exact
        The engine that pair averages come from.
    K
        Covariance (N, N) of all inputs.
    few
        Some of the inputs.
    sums
        Independent nodes for these.
    """

    def __init__(self, exact: Expectations, K: Array, few: NDArray[np.intp], sums: Sequence[NodeSums]) -> None:
        self._exact, self._K, self._few, self._sums = exact, K, few, sums
        self._coefficients: dict[tuple[int, int], Array] = {}
        self._second_order: dict[tuple[int, int], SecondOrder] = {}

    def coefficients(self, p: int, q: int) -> Array:
        """b_1, b_2, b_3 for <s_a s_b t_c t_d> with s = sigma^(p), t = sigma^(q)."""
        if (p, q) not in self._coefficients:
            few = np.ix_(self._few, self._few)
            J_left, J_right = (self._exact.jacobian(order)[few] for order in (p, q))
            parts = _second_order(self._K[few], J_left, J_right, (p, q))
            self._coefficients[p, q] = _fit([_uncorrected(sums, parts) for sums in self._sums], symmetric=p == q)
        return self._coefficients[p, q]

    def second_order(self, p: int, q: int) -> SecondOrder:
        """The parts of second order of s_a s_b and t_c t_d."""
        if (p, q) not in self._second_order:
            jacobians = self._exact.jacobian(p), self._exact.jacobian(q)
            self._second_order[p, q] = _second_order(self._K, *jacobians, (p, q))
        return self._second_order[p, q]


class RandomizedAverages:
    """`Averages` whose quartic moments are means over one set of nodes.

    Parameters
    ----------
    exact
        The engine that pair averages come from.
    sums
        The nodes.
    control
        The coefficients of the controls.
    """

    def __init__(self, exact: Expectations, sums: NodeSums, control: Control) -> None:
        self.pair, self.jacobian, self.hessian = exact.pair, exact.jacobian, exact.hessian
        self._exact, self._sums, self._control = exact, sums, control
        self._quartics: dict[Orders, Array] = {}

    @property
    def error(self) -> float:
        """Largest estimated relative error of the pair averages."""
        return self._exact.error

    def quartic(self, orders: Orders) -> Array:
        """<s_a s_b s_c s_d> with s_a = sigma^(orders[0])(z_a) and so on, each order up to 3: (N, N, N, N)."""
        arranged, axes = arrangement(orders)
        if arranged not in self._quartics:
            self._quartics[arranged] = self._evaluated(arranged)
        return self._quartics[arranged].transpose(axes)

    def _evaluated(self, orders: Orders) -> Array:
        """The quartic moment of sorted orders."""
        axes = _pairing(orders)
        left, right = (orders[axes[0]], orders[axes[1]]), (orders[axes[2]], orders[axes[3]])
        rows, columns = (pair_numbers(len(self._sums.K), pair) for pair in (left, right))
        means = self._means(left, right)[np.ix_(rows.ravel(), columns.ravel())]
        quartic = np.ascontiguousarray(means.reshape(rows.shape + columns.shape).transpose(np.argsort(axes)))
        places, values = self._exact.pair_entries(orders)
        quartic.ravel()[places] = values
        return quartic

    def _means(self, left: PairOrders, right: PairOrders) -> Array:
        """The mean of two pair functions, corrected if they are symmetric ones of sigma and sigma'."""
        (p, second), (q, fourth) = left, right
        if p != second or q != fourth or max(p, q) > 1:
            return self._sums.mean(left, right)
        mean, controls = _uncorrected(self._sums, self._control.second_order(p, q))
        return np.asarray(mean - np.tensordot(self._control.coefficients(p, q), controls, axes=1))


class SecondOrder(NamedTuple):
    """The parts J . W of second order of f = s_a s_b and g = t_c t_d, and the mean (pair, pair) of their product."""

    J_left: Array
    J_right: Array
    orders: tuple[int, int]
    mean: Array


class PairAverages:
    """`Averages` whose quartic moments are 0 where more than two different inputs meet: all that pair tensors read."""

    def __init__(self, exact: Expectations, N: int) -> None:
        self.pair, self.jacobian, self.hessian = exact.pair, exact.jacobian, exact.hessian
        self._exact, self._N = exact, N

    @property
    def error(self) -> float:
        """Largest estimated relative error."""
        return self._exact.error

    def quartic(self, orders: Orders) -> Array:
        """<s_a s_b s_c s_d> with s_a = sigma^(orders[0])(z_a) and so on: (N, N, N, N)."""
        arranged, axes = arrangement(orders)
        places, values = self._exact.pair_entries(arranged)
        quartic = np.zeros((self._N,) * 4)
        quartic.ravel()[places] = values
        return quartic.transpose(axes)


class _Uncorrected(NamedTuple):
    """What nodes make of <f g>, and of the three controls, whose mean is zero: (pair, pair) and (3, pair, pair)."""

    mean: Array
    controls: Array


def _second_order(K: Array, J_left: Array, J_right: Array, orders: tuple[int, int]) -> SecondOrder:
    a, b = pairs(len(K), WICK)
    WW = K[np.ix_(a, a)] * K[np.ix_(b, b)] + K[np.ix_(a, b)] * K[np.ix_(b, a)]
    return SecondOrder(J_left, J_right, orders, _response(J_left, _response(J_right, WW).T))


def _uncorrected(sums: NodeSums, parts: SecondOrder) -> _Uncorrected:
    J_left, J_right, (p, q), exact = parts
    f, g = (p, p), (q, q)
    left = _response(J_left, sums.mean(WICK, g))
    right = _response(J_right, sums.mean(WICK, f)).T
    both = _response(J_left, _response(J_right, sums.mean(WICK, WICK)).T)
    return _Uncorrected(sums.mean(f, g), np.stack([left, right, both]) - exact)


def _response(J: Array, T: Array) -> Array:
    """Sum over the three slots of J_ab of T_aa, T_ab, T_bb: (pair, ...) for symmetric pairs."""
    a, b = pairs(len(J), WICK)
    own = pair_numbers(len(J), WICK).diagonal()
    J_aa, J_ab, J_bb = J[a, b].T[:, :, None]
    return np.asarray(J_aa * T[own[a]] + J_ab * T + J_bb * T[own[b]])


def _fit(samples: Sequence[_Uncorrected], symmetric: bool) -> Array:
    """The b that leave the least variance over independent nodes; b_1 = b_2 where f and g are the same."""
    means, controls = np.array([sample.mean for sample in samples]), np.array([sample.controls for sample in samples])
    deviations = (controls - controls.mean(axis=0)).swapaxes(0, 1).reshape(3, -1)
    found, *_ = np.linalg.lstsq(deviations.T, (means - means.mean(axis=0)).ravel())
    if symmetric:
        found[:2] = found[:2].mean()
    return np.asarray(found)


def _pairing(orders: Orders) -> tuple[int, ...]:
    """The four factors as two pairs, with as many pairs of equal orders as can be."""
    return max(_PAIRINGS, key=lambda axes: sum(orders[axes[k]] == orders[axes[k + 1]] for k in (0, 2)))
