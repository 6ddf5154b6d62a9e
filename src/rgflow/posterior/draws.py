"""Keyed draws of the posterior: random numbers are a function of the seed, the network, the island and the stage alone.

Keys are hashes of 128 bits on the CPU and 64 on a GPU: see :func:`rgflow.sampling.rng.keyed_generator`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rgflow.sampling.rng import keyed_generator

PILOT = "pilot"
TEST_ROWS = "test rows"


class Stream:
    """One sequence of random numbers on a device.

    Parameters
    ----------
    key
        What the sequence is a function of.
    device
        Where the numbers are wanted. On the CPU they are numpy's, whose normals take half the time of torch's.
    """

    def __init__(self, key: str, device: torch.device) -> None:
        self._device = device
        self._numpy: np.random.Generator | None = None
        if device.type == "cpu":
            digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
            self._numpy = np.random.Generator(np.random.SFC64(np.random.SeedSequence(int.from_bytes(digest, "little"))))
        else:
            self._torch = keyed_generator(key, device)

    def normals(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Independent standard normals."""
        if self._numpy is None:
            return torch.empty(shape, dtype=dtype, device=self._device).normal_(generator=self._torch)
        of: Any = np.float32 if dtype == torch.float32 else np.float64
        return torch.from_numpy(self._numpy.standard_normal(shape, dtype=of))

    def uniforms(self, count: int) -> Tensor:
        """Independent numbers, uniform in [0, 1), float64."""
        if self._numpy is None:
            return torch.empty(count, dtype=torch.float64, device=self._device).uniform_(generator=self._torch)
        return torch.from_numpy(self._numpy.random(count))


@dataclass(frozen=True)
class Draws:
    """All streams of one posterior.

    Attributes
    ----------
    key
        Seed and network.
    device
        Where the numbers are wanted.
    """

    key: str
    device: torch.device

    def stream(self, island: int | str, stage: int | str) -> Stream:
        """The stream of a stage of an island."""
        return Stream(repr((self.key, island, stage)), self.device)
