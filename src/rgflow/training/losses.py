"""Losses as sums over samples: their values for records, and their cotangents dL/dz for training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import torch


def loss_value(loss: str, outputs: NDArray[np.floating], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the loss summed over samples and components.

    Parameters
    ----------
    loss
        "mse": 1/2 sum (z - y)^2; "cross_entropy": - sum y log softmax(z).
    outputs
        z, shape (..., sample, output).
    targets
        y, shape (sample, output).
    """
    z = outputs.astype(np.float64)
    if loss == "mse":
        terms = 0.5 * (z - targets) ** 2
    else:
        terms = -targets * (z - np.logaddexp.reduce(z, axis=-1, keepdims=True))
    return np.asarray(terms.sum(axis=(-2, -1)))


def output_cotangent(loss: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return the map (z, y) -> dL/dz on tensors (..., sample, output)."""
    return _mse_cotangent if loss == "mse" else _cross_entropy_cotangent


def check_targets(loss: str, targets: NDArray[np.float64]) -> None:
    """Raise RgflowError unless the targets suit the loss: probabilities over at least two classes for cross-entropy."""
    if loss == "mse":
        return
    if targets.shape[1] < 2 or targets.min() < 0 or not np.allclose(targets.sum(axis=1), 1):
        raise RgflowError(
            "targets of the cross_entropy loss must be probabilities over two or more classes in each row"
        )


def _mse_cotangent(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return z - y


def _cross_entropy_cotangent(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return z.softmax(dim=-1) - y
