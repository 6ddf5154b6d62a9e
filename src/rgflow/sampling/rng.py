"""Keyed draws: the random numbers of a member depend on the seed, the network and its place in the ensemble alone.

Members are numbered 0, 1, 2, ... . A *group* of 1000 consecutive members is one jackknife group; a *chunk* is the part
of a group whose members are drawn together. Both are properties of the format: neither machine, nor workers, nor the
split into blocks enters, so that on one backend every split gives the same bits.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

GROUP = 1000
CHUNK_NUMBERS = 2**20  # per array and chunk: enough to outweigh the cost of each call, little enough for memory
_WORDS, _FIRST_WORD = 624, 3  # of a Mersenne twister, and where they are in the state of torch's


def chunk_members(numbers: int, device_type: str) -> int:
    """Members of one chunk: the largest divisor of a group that keeps its arrays small.

    Parameters
    ----------
    numbers
        Numbers per member in the largest array, such as width times inputs.
    device_type
        "cpu", or "cuda", where a whole group is drawn at once.
    """
    if device_type != "cpu":
        return GROUP
    allowed = max(CHUNK_NUMBERS, numbers)
    return max(size for size in range(1, GROUP + 1) if GROUP % size == 0 and size * numbers <= allowed)


class Streams:
    """Independent generators of one ensemble, one per chunk and stream.

    Parameters
    ----------
    key
        What makes the ensemble: seed and network.
    device
        Where the numbers are drawn.
    """

    def __init__(self, key: str, device: torch.device) -> None:
        self.key = key
        self.device = device

    def generator(self, chunk: int, stream: int) -> torch.Generator:
        """Generator of a stream of a chunk."""
        return keyed_generator(repr((self.key, chunk, stream)), self.device)


def keyed_generator(key: str, device: torch.device) -> torch.Generator:
    """A generator that is a function of a text alone.

    torch's CPU generator keeps 32 bits of a seed, of which some ten thousand streams would share one. Here the key is hashed
    (SHAKE-128) to all 624 words of the Mersenne twister: each stream begins at a place of its own in a period of 2^19937, and
    two of S streams meet with a probability below S^2/2^128. On a GPU the hash is the 64-bit key of Philox, and two of S
    streams are the same with probability S^2/2^65: 4e-7 for the four million streams of 5000 ensembles of 100,000 networks
    of depth 8.
    """
    import torch

    generator = torch.Generator(device)
    if device.type != "cpu":
        return generator.manual_seed(int.from_bytes(_hash(key, 8), "little"))
    words = np.frombuffer(_hash(key, 4 * _WORDS), "<u4").astype(np.int64)
    state = _fresh_state().clone()
    state.view(torch.int64)[_FIRST_WORD : _FIRST_WORD + _WORDS] = torch.from_numpy(words)
    generator.set_state(state)
    return generator


def _hash(key: str, size: int) -> bytes:
    return hashlib.shake_128(key.encode()).digest(size)


@cache
def _fresh_state() -> torch.Tensor:
    """The state of a CPU generator that has drawn nothing: seed, counters, 624 words in 64 bits each, kept normals."""
    import torch

    return torch.Generator().manual_seed(0).get_state()
