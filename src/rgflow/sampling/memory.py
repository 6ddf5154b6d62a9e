"""The memory that drawing a chunk takes, known before anything is drawn. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

FEW_INPUTS = 6  # beyond, the N^4 sums of the mean NTK given the forward pass cost more than sampled backward passes
_DOUBLE = 8


@dataclass(frozen=True)
class Footprint:
    """Sizes of what is drawn for each member.

    Attributes
    ----------
    widths
        n_0 .. n_l up to the last reported layer.
    inputs
        Number N of inputs.
    layers
        How many layers are reported.
    outputs
        Neurons whose NTK is drawn.
    tensors
        How many tensors are estimated.
    itemsize
        Bytes of a preactivation.
    weights
        Whether weights are drawn.
    """

    widths: tuple[int, ...]
    inputs: int
    layers: int
    outputs: int
    tensors: int
    itemsize: int
    weights: bool

    @property
    def largest_array(self) -> int:
        """Numbers per member in the largest array."""
        if self.weights:
            return max(below * width for below, width in pairwise(self.widths))
        return self.inputs * max((1, *self.widths[1:-1]))

    def chunk_bytes(self, members: int) -> int:
        """Upper estimate of the memory to draw ``members`` together."""
        N, widths, sums = self.inputs, self.widths, self.inputs <= FEW_INPUTS
        rows = sum(widths) * N * 3 + max(widths) * N * (2 * N * sums + 6) * self.outputs
        weights = 2 * sum(below * width for below, width in pairwise(widths)) if self.weights else 0
        small = self.layers * N**2 * (4 + self.outputs**2) + 8 * N**4 * sums
        moments = self.layers * N**4 * self.tensors
        return members * ((rows + weights) * self.itemsize + small * _DOUBLE) + moments * _DOUBLE
