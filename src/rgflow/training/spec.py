"""How an ensemble is trained: everything besides the network and the data that changes a result."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from rgflow.errors import RgflowError
from rgflow.task import recorded_steps

LOSSES = ("mse", "cross_entropy")
OPTIMIZERS = ("gd", "adam")
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class TrainingSpec:
    """Settings of the training of an ensemble.

    Parameters
    ----------
    seed
        Key of all draws: initializations and mini-batch orders.
    learning_rate
        Global rate eta; biases and weights of layer l move with eta lambda_b and eta lambda_W / n_{l-1}.
    steps
        Recorded steps, strictly increasing from 0; step t is the network after t updates.
    loss
        "mse", 1/2 sum (z - y)^2, or "cross_entropy" of the softmax of z; both are sums over samples, not means.
    optimizer
        "gd" (gradient descent) or "adam", whose step for each parameter is scaled by the same learning-rate tensor.
    batch_size
        Train samples per step, drawn in a new keyed order per member and epoch; None trains on all of them.
    dtype
        "float32" or "float64".
    ntk_steps
        Steps at which the NTK of output 0 is recorded.
    ntk_samples
        Samples between which it is recorded, as positions in train then test; None means all.

    Raises
    ------
    RgflowError
        A value outside these choices.
    """

    seed: int
    learning_rate: float
    steps: tuple[int, ...]
    loss: str = "mse"
    optimizer: str = "gd"
    batch_size: int | None = None
    dtype: str = "float32"
    ntk_steps: tuple[int, ...] = ()
    ntk_samples: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", recorded_steps(self.steps))
        object.__setattr__(self, "ntk_steps", tuple(sorted(set(self.ntk_steps))))
        if self.ntk_samples is not None:
            object.__setattr__(self, "ntk_samples", tuple(self.ntk_samples))
        _one_of("loss", self.loss, LOSSES)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("dtype", self.dtype, DTYPES)
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise RgflowError(f"learning_rate = {self.learning_rate}; it must be positive and finite")
        if self.batch_size is not None and self.batch_size < 1:
            raise RgflowError(f"batch_size = {self.batch_size}; it must be at least 1")
        if self.ntk_steps and not 0 <= self.ntk_steps[0] <= self.ntk_steps[-1] <= self.steps[-1]:
            raise RgflowError(f"ntk_steps = {list(self.ntk_steps)}; they must lie within 0 and {self.steps[-1]}")


def _one_of(name: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise RgflowError(f"{name} = {value!r}; it must be one of {', '.join(allowed)}")
