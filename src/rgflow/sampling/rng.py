"""Keyed draws: the random numbers of a member depend on the seed, the network and its place in the ensemble alone.

Members are numbered 0, 1, 2, ... . A *group* of 1000 consecutive members is one jackknife group; a *chunk* is the part
of a group whose members are drawn together. Both are properties of the format: neither machine, nor workers, nor the
split into blocks enters, so that on one backend every split gives the same bits.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GROUP = 1000
CHUNK_NUMBERS = 2**20  # per array and chunk: enough to outweigh the cost of each call, little enough for memory
_WORD = 2**32


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

    torch's CPU generator keeps only 32 bits of its seed, where hashed seeds would collide after some ten thousand
    streams. Streams are therefore numbered, and a bijection of 32-bit words turns number + offset into a seed: within
    an ensemble no two seeds coincide. The offset is a hash of ``key``.

    Parameters
    ----------
    key
        What makes the ensemble: seed and network.
    count
        Streams per chunk.
    device
        Where the numbers are drawn.
    """

    def __init__(self, key: str, count: int, device: torch.device) -> None:
        self.offset = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "little")
        self.count = count
        self.device = device

    def generator(self, chunk: int, stream: int) -> torch.Generator:
        """Generator of a stream, 0 <= stream < count, of a chunk."""
        import torch

        number = (self.offset + chunk * self.count + stream) % _WORD
        return torch.Generator(self.device).manual_seed(mixed(number))


def mixed(word: int) -> int:
    """Image of a 32-bit word under a bijection that spreads neighbours: the finalizer of MurmurHash3."""
    word ^= word >> 16
    word = word * 0x85EBCA6B % _WORD
    word ^= word >> 13
    word = word * 0xC2B2AE35 % _WORD
    return word ^ word >> 16
