"""The user's inputs and targets as theory takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs of the first layer, (N, n_0), targets (N, n_L) or None, and the inputs of the module that these come from."""

    inputs: Array
    targets: Array | None
    raw: NDArray[Any]

    @classmethod
    def unread(cls, raw: NDArray[Any]) -> Batch:
        """Inputs of a module of which theory knows nothing."""
        return cls(raw.reshape(len(raw), -1).astype(np.float64), None, raw)

    @property
    def gram(self) -> Array:
        """x_1.x_2/n_0."""
        return np.asarray(self.inputs @ self.inputs.T / self.inputs.shape[1])

    @property
    def mean_square(self) -> float:
        """Mean of x.x/n_0."""
        return float(np.mean(self.inputs**2))
