"""Means over independent randomizations and their standard errors, without keeping the randomizations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rgflow.theory.initialization.contraction import Array


class Spread:
    """Running mean and squared deviations of named arrays (Welford's update)."""

    def __init__(self) -> None:
        self.count = 0
        self.means: dict[str, Array] = {}
        self._squares: dict[str, Array] = {}

    def add(self, values: Mapping[str, Array]) -> None:
        """Take in one randomization."""
        self.count += 1
        for name, value in values.items():
            mean = self.means.setdefault(name, np.zeros_like(value))
            squares = self._squares.setdefault(name, np.zeros_like(value))
            before = value - mean
            mean += before / self.count
            squares += before * (value - mean)

    @property
    def errors(self) -> dict[str, Array]:
        """Standard errors s / sqrt(R) of the means over R randomizations; none of a single one."""
        if self.count < 2:
            return {}
        return {name: np.sqrt(squares / (self.count - 1) / self.count) for name, squares in self._squares.items()}
