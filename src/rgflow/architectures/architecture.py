"""What theory, samplers and training ask of an architecture.

A layer beyond the first is z' = scale (b + W sigma(z)) + skip z. What follows from this form alone is written once, here,
and used by all: hyperparameters, K and Theta of pairs of inputs, the forward pass and the cotangents. What does not
(recursions of tensors, moments of samples) is a table of its room with an entry for each architecture that is known there;
:meth:`Architecture.choose` takes it, or says in one line what is not known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rgflow.errors import RgflowError

Entry = TypeVar("Entry")


class Architecture(ABC):
    """Base of all architectures, immutable values that compare by their strengths."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The kind, its key in tables, as in "plain"."""

    @property
    @abstractmethod
    def scale(self) -> float:
        """Strength of the branch beyond the first layer, positive."""

    @property
    @abstractmethod
    def skip(self) -> float:
        """Strength of a layer in the layer above, beyond the first."""

    @property
    @abstractmethod
    def alike(self) -> bool:
        """Whether the neurons of a layer have one and the same law given the layer below."""

    @property
    @abstractmethod
    def strengths(self) -> Mapping[str, float]:
        """The numbers that tell it from others of its kind, by name: part of the identity of its networks."""

    @property
    @abstractmethod
    def equal_widths(self) -> bool:
        """Whether n_1, ..., n_L must be the same."""

    def check_widths(self, widths: tuple[int, ...]) -> None:
        """Raise one line if the architecture cannot have these widths (n_0, ..., n_L)."""
        if self.equal_widths and len(set(widths[1:])) > 1:
            raise RgflowError(f"widths = {widths}; a {self.name} network needs n_1 = ... = n_L")

    @property
    def label(self) -> str:
        """The strengths, or the name if there are none."""
        return ", ".join(f"{name} = {strength:g}" for name, strength in self.strengths.items()) or self.name

    def hyperparameters(self, layer: int, values: Iterable[float]) -> tuple[float, ...]:
        """Variances and rates (C_b, C_W, lambda_b, lambda_W) of a layer 1..L: beyond the first times scale^2.

        scale (b + W sigma) is the plain layer with these: scale b has the variance scale^2 C_b, and lambda_b (dz/db)^2 is
        scale^2 lambda_b. So the scale occurs nowhere else.
        """
        square = self.scale**2 if layer > 1 else 1.0
        return tuple(square * value for value in values)

    def scaled(self, affine: Any) -> Any:
        """The branch from b + W sigma(z), or the cotangent of the latter from that of the branch: scale times it."""
        return affine if self.scale == 1.0 else self.scale * affine

    def add_skip(self, branch: Any, below: Any) -> Any:
        """z' from the branch and z; Delta of a layer from the branch's and that of the layer above: branch + skip below."""
        return branch + self.skip * below if self.skip else branch

    def add_skip_to_pair(self, branch: Any, below: Any) -> Any:
        """K' and Theta' from what the branch gives and the K and Theta of the layer below: branch + skip^2 below."""
        return branch + self.skip**2 * below if self.skip else branch

    def critical_scales(self) -> tuple[float, float]:
        """The branch's share of both susceptibilities at criticality, and C_b, C_W in units of the plain network's.

        Susceptibilities are skip^2 + scale^2 chi, and K' = scale^2 (C_b + C_W <sigma^2>_K) + skip^2 K. So the share is
        1 - skip^2, at the K* of the plain network, with both variances times (1 - skip^2) / scale^2.

        Raises
        ------
        RgflowError
            |skip| >= 1, where every C_W > 0 is too large.
        """
        share = 1.0 - self.skip**2
        if not share > 0.0:
            raise RgflowError(f"{self.label}: a critical {self.name} network needs a weaker skip connection, below 1")
        return share, share / self.scale**2

    def choose(self, table: Mapping[str, Entry], what: str) -> Entry:
        """The entry of a table by names of architectures.

        Raises
        ------
        RgflowError
            There is none: ``what`` is not known of this architecture.
        """
        if self.name not in table:
            raise RgflowError(f"{self.label}: {what} needs a {' or '.join(table)} network")
        return table[self.name]
