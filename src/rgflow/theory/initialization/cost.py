"""Time and memory of all tensors between many inputs, known before they are taken."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from rgflow.errors import RgflowError
from rgflow.theory.initialization.engines import RANDOMIZATIONS
from rgflow.theory.initialization.tensors import Recursions

_PRODUCTS = {  # matrix products of N(N+1)/2 symmetric pairs with themselves that a tensor's four-input averages take
    "V": 2, "D": 2, "F": 2, "A": 2, "B": 1, "P": 2, "Q": 0, "R": 2, "S": 1, "T": 1, "U": 0,
}  # fmt: skip
_MULTIPLICATIONS = 2e10  # per second
_PER_ENTRY = 4e-8  # seconds per entry of a four-legged tensor, layer and randomization
_QUADRATURE = 3e-4  # seconds per entry and layer
BLOCK = 12  # inputs at a time of tensors that pairs decide: the four-legged ones of two blocks fit the cache
_PAIRWISE = 0.4  # seconds per pair of blocks and layer
_ARRAYS = 14  # four-input averages and intermediate results that are held at once
_HELD = 5  # copies of what is kept: mean, squares, and the latest in two shapes


class TheoryCost(NamedTuple):
    """CPU seconds of one core, and GiB of memory."""

    seconds: float
    memory: float

    def require(self, memory: float) -> None:
        """Raise one line unless `memory` GiB suffice."""
        if self.memory > memory:
            raise RgflowError(
                f"these tensors take {self.memory:.3g} GiB, more than memory = {memory:g}; ask for fewer inputs or tensors"
            )


def certified_cost(N: int, depth: int) -> TheoryCost:
    """Of N <= 6 inputs by quadrature, for a smooth activation and all tensors."""
    return TheoryCost((depth - 1) * _QUADRATURE * N**4, 0.1)


def pairwise_cost(N: int, depth: int) -> TheoryCost:
    """Of N inputs by quadrature, for tensors that pairs of inputs decide."""
    blocks = math.ceil(N / BLOCK)
    return TheoryCost((depth - 1) * _PAIRWISE * blocks * (blocks + 1) / 2, 0.2 + 32 * N**2 / 2**30)


def randomized_cost(
    N: int, depth: int, needed: Recursions, kept: Collection[str], layers: int, nodes: int
) -> TheoryCost:
    """Of N inputs on nodes.

    Parameters
    ----------
    N, depth
        Inputs and layers.
    needed
        The recursions that run.
    kept
        Names of the tensors that are wanted, in `layers` layers.
    nodes
        Nodes in each layer.
    """
    four = [name for name, recursion in needed.items() if recursion.legs == 4]
    products = sum(_PRODUCTS[name] for name in four) * (N * (N + 1) / 2) ** 2
    seconds = products * nodes / _MULTIPLICATIONS + RANDOMIZATIONS * len(four) * N**4 * _PER_ENTRY
    wanted = len(set(kept) & set(four)) * layers
    arrays = 2 * len(four) + _ARRAYS + _HELD * wanted if four else 0
    return TheoryCost((depth - 1) * seconds, 0.2 + 8 * N**4 * arrays / 2**30)
