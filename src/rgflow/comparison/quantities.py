"""What is compared with what: names in theory and experiment, tensor legs and their symmetries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Permutation = tuple[int, ...]


@dataclass(frozen=True)
class Quantity:
    """One observable that theory predicts and an ensemble estimates.

    Attributes
    ----------
    name : str
        Name of the leading-order prediction in the theory dataset.
    estimate : str
        Name of the estimate in the experiment; its standard error is ``<estimate>_stderr``.
    dims : tuple of str
        Dimensions of both; the legs that a symmetry permutes come last.
    symmetries : tuple of permutations
        Generators of the permutations of the last ``len(permutation)`` dims that leave the quantity unchanged.
    next_order : str or None
        Name of the coefficient of 1/n in the theory dataset, if theory has it.
    symbol : str
        Mathtext for figures and tables.
    """

    name: str
    estimate: str
    dims: tuple[str, ...]
    symmetries: tuple[Permutation, ...] = ()
    next_order: str | None = None
    symbol: str = ""

    def distinct_components(self, sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
        """Positions along every dim of one component per symmetry orbit: the components that may differ."""
        shape = tuple(sizes[dim] for dim in self.dims)
        index = np.indices(shape).reshape(len(shape), -1)
        flat = np.ravel_multi_index(tuple(index), shape)
        first_of_orbit = np.ones(flat.size, dtype=bool)
        for permutation in _group(self.symmetries):
            fixed = len(self.dims) - len(permutation)
            image = np.concatenate([index[:fixed], index[fixed:][list(permutation)]])
            first_of_orbit &= flat <= np.ravel_multi_index(tuple(image), shape)
        return dict(zip(self.dims, index[:, first_of_orbit], strict=True))

    def canonical(self, legs: tuple[int, ...]) -> tuple[int, ...]:
        """The component of :meth:`distinct_components` that equals the one with these last indices."""
        images = {tuple(legs[i] for i in permutation) for permutation in _group(self.symmetries)}
        return min(images | {legs})


def _group(generators: tuple[Permutation, ...]) -> set[Permutation]:
    """All products of the generators."""
    group = set(generators)
    while True:
        products = {tuple(a[i] for i in b) for a in group for b in group}
        if products <= group:
            return group
        group |= products


_PAIR = ("layer", "sample_1", "sample_2")
_TRIPLE = (*_PAIR, "sample_3")
_QUAD = (*_PAIR, "sample_3", "sample_4")
_SWAP = ((1, 0),)
_WITHIN_FIRST, _WITHIN_SECOND, _EXCHANGE = (1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1)

INITIALIZATION = (
    Quantity("K", "K", _PAIR, _SWAP, "G1", "K"),
    Quantity("T3", "T3", _TRIPLE, ((0, 2, 1),), None, "T"),
    Quantity("V", "V", _QUAD, (_WITHIN_FIRST, _EXCHANGE), None, "V"),
    Quantity("V6", "V6", ("layer", "sample_1"), (), None, "V^{(6)}"),
    Quantity("Theta", "Theta", _PAIR, _SWAP, "Theta1", r"\Theta"),
    Quantity("D", "D", _QUAD, (_WITHIN_FIRST, _WITHIN_SECOND), None, "D"),
    Quantity("F", "F", _QUAD, (_EXCHANGE,), None, "F"),
    Quantity("A", "A", _QUAD, (_WITHIN_FIRST, _EXCHANGE), None, "A"),
    Quantity("B", "B", _QUAD, ((1, 0, 3, 2), _EXCHANGE), None, "B"),
)
"""Tensors at initialization (V6 of a single input): T3_1(23) is symmetric in its pair, V and A in each pair and under
exchange of the pairs, D_1234 in each pair, F_1324 = F_2413, B_1324 = B_3142 = B_2413."""

DNTK = (
    Quantity("P", "P", _QUAD, ((0, 2, 1, 3),), None, "P"),
    Quantity("Q", "Q", _QUAD, (), None, "Q"),
    Quantity("R", "R", _QUAD, (_WITHIN_SECOND,), None, "R"),
    Quantity("S", "S", _QUAD, ((1, 0, 3, 2),), None, "S"),
    Quantity("T", "T", _QUAD, (_EXCHANGE,), None, "T"),
    Quantity("U", "U", _QUAD, (_EXCHANGE,), None, "U"),
)
"""Differentials of the NTK: P_0123 = P_0213, R_0123 = R_0132, S_1234 = S_2143, T_1324 = T_2413, U_1423 = U_2314."""

TRAINING = (
    Quantity("prediction_mean", "prediction_mean", ("step", "sample", "output"), (), None, r"\mathrm{E}\,z"),
    Quantity(
        "prediction_covariance",
        "prediction_covariance",
        ("step", "sample_1", "sample_2"),
        _SWAP,
        None,
        r"\mathrm{Cov}\,z",
    ),
    Quantity("train_loss", "train_loss", ("step",), (), None, r"\mathcal{L}_\mathrm{train}"),
    Quantity("test_loss", "test_loss", ("step",), (), None, r"\mathcal{L}_\mathrm{test}"),
    Quantity("NTK", "NTK", ("ntk_step", "ntk_sample_1", "ntk_sample_2"), _SWAP, None, r"\hat{H}"),
)
"""Observables of training, with the kernel prediction (infinite width) as theory."""

SYMBOLS = {quantity.name: quantity.symbol for quantity in (*INITIALIZATION, *DNTK, *TRAINING)}
