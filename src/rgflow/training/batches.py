"""Which train samples a step sees: all of them, or mini-batches in an order drawn anew for each member and epoch."""

from __future__ import annotations

from collections.abc import Iterator

import torch

TrainBatch = tuple[torch.Tensor, torch.Tensor]


def full_batches(inputs: torch.Tensor, targets: torch.Tensor) -> Iterator[TrainBatch]:
    """Yield the whole train set, inputs (sample, n_0) and targets (sample, n_L), without end."""
    while True:
        yield inputs, targets


def mini_batches(
    inputs: torch.Tensor, targets: torch.Tensor, members: int, batch_size: int, generator: torch.Generator
) -> Iterator[TrainBatch]:
    """Yield batches with inputs (member, batch, n_0) and targets (member, batch, n_L) without end.

    Every epoch goes through the samples once, in an independent random order for each member; its last batch is smaller
    if the batch size does not divide the number of samples.
    """
    samples = inputs.shape[0]
    while True:
        keys = torch.rand(members, samples, generator=generator, device=generator.device)
        order = keys.argsort(dim=1)
        for first in range(0, samples, batch_size):
            positions = order[:, first : first + batch_size]
            yield inputs[positions], targets[positions]
