"""What is compared with what: names in theory and experiment, tensor legs and their symmetries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rgflow.tensors import TENSORS

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


def tensor_quantity(name: str) -> Quantity:
    """A tensor at initialization as a quantity, from its record."""
    t = TENSORS[name]
    return Quantity(t.name, t.name, t.dims, t.symmetries, t.next_order, t.symbol)


def _of_chapter(chapter: str) -> tuple[Quantity, ...]:
    """The tensors of a chapter; those that are a next order belong to their leading ones."""
    following = {record.next_order for record in TENSORS.values()}
    own = (record.name for record in TENSORS.values() if record.chapter == chapter)
    return tuple(tensor_quantity(name) for name in own if name not in following)


INITIALIZATION = _of_chapter("initialization")
DNTK = _of_chapter("dntk")
_SWAP = ((1, 0),)

_LEGS = ("kernel_sample_1", "kernel_sample_2")

BAYES = (
    Quantity("posterior_mean", "posterior_mean", ("sample", "output"), (), "posterior_mean1", r"\mathrm{E}[f|y]"),
    Quantity(
        "posterior_covariance",
        "posterior_covariance",
        ("output_1", "output_2", "sample_1", "sample_2"),
        ((1, 0, 3, 2),),
        "posterior_covariance1",
        r"\mathrm{Cov}[f|y]",
    ),
    Quantity("log_evidence", "log_evidence", ("samples",), (), "log_evidence1", r"\log p(y)"),
    Quantity("hidden_kernel", "hidden_kernel", _LEGS, _SWAP, "hidden_kernel1", r"\mathrm{E}[\hat{G}|y]"),
    Quantity(
        "hidden_kernel_change",
        "hidden_kernel_change",
        _LEGS,
        _SWAP,
        "hidden_kernel_change1",
        r"\Delta\hat{G}",
    ),
)
"""Observables of Bayesian inference, to order 1/n."""
