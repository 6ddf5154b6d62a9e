"""Four-slot statistics of the outputs as triples of arrays over samples, the output components resolved.

By symmetry between neurons every mean of four slots, each with an output component and a sample, is

    X_0123 = d_01 d_23 X1_0123 + d_02 d_13 X2_0123 + d_03 d_12 X3_0123,

with Kronecker deltas of the components and three arrays over samples, all in the slot order 0123.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from rgflow.theory.initialization.contraction import Array


@dataclass(frozen=True)
class Triple:
    """X1, X2, X3 of a four-slot statistic, each an array with one axis per slot."""

    X1: Array
    X2: Array
    X3: Array

    __array_ufunc__: ClassVar[None] = None  # array * triple is this class's business, not elementwise numpy's

    @property
    def exchanged_01(self) -> Triple:
        """The statistic with its first two slots exchanged."""
        return Triple(self.X1.swapaxes(0, 1), self.X3.swapaxes(0, 1), self.X2.swapaxes(0, 1))

    @property
    def exchanged_12(self) -> Triple:
        """The statistic with its middle slots exchanged."""
        return Triple(self.X2.swapaxes(1, 2), self.X1.swapaxes(1, 2), self.X3.swapaxes(1, 2))

    def __getitem__(self, number: int) -> Array:
        """X1, X2 or X3 by its number."""
        return (self.X1, self.X2, self.X3)[number - 1]

    @cached_property
    def total(self) -> Array:
        """X1 + X2 + X3, the statistic where all components are equal."""
        return np.asarray(self.X1 + self.X2 + self.X3)

    def __add__(self, other: Triple) -> Triple:
        return Triple(self.X1 + other.X1, self.X2 + other.X2, self.X3 + other.X3)

    def __mul__(self, kernel: Array | float) -> Triple:
        return Triple(self.X1 * kernel, self.X2 * kernel, self.X3 * kernel)

    __rmul__ = __mul__

    def first(self, *counts: int) -> Triple:
        """The block of the first so many entries of every slot."""
        block = tuple(slice(count) for count in counts)
        return Triple(self.X1[block], self.X2[block], self.X3[block])

    def project(self, *legs: Array) -> Triple:
        """Change the basis of every slot: one matrix (row, sample) per slot, which reads the first samples of its slot."""
        block = self.first(*(leg.shape[1] for leg in legs))
        return Triple(*(_project(X, legs) for X in (block.X1, block.X2, block.X3)))


def _project(X: Array, legs: tuple[Array, ...]) -> Array:
    for leg in legs:  # contracts the first slot and appends its rows as the last: after four the order is as before
        X = np.tensordot(X, leg, (0, 1))
    return np.ascontiguousarray(X)


class Pair(NamedTuple):
    """Two slots p, q to be contracted: where they stand, and the numbers of the arrays whose deltas join them or do not.

    ``direct`` joins the first free slot e with p and the second, f, with q; ``crossed`` the other way round.
    """

    slots: str
    joined: int
    direct: int
    crossed: int


MIDDLE = Pair("epqf", joined=3, direct=1, crossed=2)
OUTER = Pair("epfq", joined=2, direct=1, crossed=3)
LAST = Pair("efpq", joined=1, direct=2, crossed=3)


@dataclass(frozen=True)
class Coupling:
    """A matrix between two slots with components i, j: d_ij same_ef + cross_ij,ef."""

    same: Array
    """(e, f)."""
    cross: Array
    """(n_L, n_L, e, f)."""

    def __add__(self, other: Coupling) -> Coupling:
        return Coupling(self.same + other.same, self.cross + other.cross)

    def __neg__(self) -> Coupling:
        return Coupling(-self.same, -self.cross)

    def __matmul__(self, matrix: Array) -> Coupling:
        return Coupling(self.same @ matrix, self.cross @ matrix)

    def __mul__(self, factor: Array) -> Coupling:
        return Coupling(self.same * factor, self.cross * factor)

    @property
    def transposed(self) -> Coupling:
        """The two slots exchanged."""
        return Coupling(self.same.T, self.cross.transpose(1, 0, 3, 2))

    def dense(self, rows: Array) -> Array:
        """All components in another basis, rows on both slots: (n_L, n_L, row, row)."""
        full = rows @ self.cross @ rows.T
        for i in range(len(full)):
            full[i, i] += rows @ self.same @ rows.T
        return full


@dataclass(frozen=True)
class ErrorMoment:
    """Second moment of the errors of the train modes at initialization, E[eps_ip eps_jq] = d_ij K_pq + y_ip y_jq."""

    K: Array
    """(N_A, N_A)."""
    y: Array
    """(n_L, N_A)."""

    @property
    def n_L(self) -> int:
        """Number of output components."""
        return len(self.y)

    def contract(self, X: Triple, pair: Pair, **kernels: Array) -> Coupling:
        """Contract two slots p, q of a triple, times kernels, with the moment.

        A closed loop of components gives n_L, an open one y_i y_j. Kernels are named by the slots they depend on, such as
        ``epq`` for one of the slots e, p and q.
        """
        given, slots, y = list(kernels.items()), pair.slots, self.y
        loop = (self.n_L - 1) * self.K + y.T @ y
        same = _folded(slots, X.total, "ef", [*given, ("pq", self.K)])
        same += _folded(slots, X[pair.joined], "ef", [*given, ("pq", loop)])
        sum_over = _folded if self.n_L == 1 else _planned
        cross = sum_over(slots, X[pair.direct], "ijef", [*given, ("ip", y), ("jq", y)])
        cross += sum_over(slots, X[pair.crossed], "ijef", [*given, ("iq", y), ("jp", y)])
        return Coupling(same, cross)

    def contract_equal(self, X: Triple, pair: Pair) -> Array:
        """The arrays that multiply d_ij when two slots carry the same mode and component, summed over the component.

        Shape: the free slots e, f and then the mode.
        """
        closed = X.total + (self.n_L - 1) * X[pair.joined]
        return np.ascontiguousarray(np.einsum(f"{pair.slots.replace('q', 'p')}->efp", closed))


def _folded(slots: str, X: Array, out: str, weights: Sequence[tuple[str, Array]]) -> Array:
    """Sum of X times weights, which are multiplied with each other first: X is read once and no copy of it made."""
    names, arrays = zip(*weights, strict=True)
    labels = "".join(sorted(set("".join(names))))
    weight = np.einsum(f"{','.join(names)}->{labels}", *arrays)
    return np.asarray(np.einsum(f"{slots},{labels}->{out}", X, weight))


def _planned(slots: str, X: Array, out: str, weights: Sequence[tuple[str, Array]]) -> Array:
    """The same, one weight after the other as matrix products: less work for many output components."""
    names, arrays = zip(*weights, strict=True)
    return np.asarray(np.einsum(f"{','.join([slots, *names])}->{out}", X, *arrays, optimize=True))


def weighted_sum(weights: Mapping[str, Array], triples: Mapping[str, Triple]) -> Triple:
    """Sum of triples times weights of the same names, with one array of scratch space."""

    def summed(number: int) -> Array:
        total, term = (np.zeros_like(next(iter(triples.values()))[number]) for _ in range(2))
        for name, weight in weights.items():
            total += np.multiply(weight, triples[name][number], out=term)
        return total

    return Triple(summed(1), summed(2), summed(3))
