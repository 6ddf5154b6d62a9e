"""Keyed draws."""

from __future__ import annotations

import pytest
import torch

from rgflow.sampling.rng import CHUNK_NUMBERS, GROUP, Streams, chunk_members, mixed

CPU = torch.device("cpu")


def first_draw(key: str, chunk: int, stream: int) -> float:
    return float(torch.randn(1, generator=Streams(key, 4, CPU).generator(chunk, stream)))


def test_a_stream_is_a_function_of_its_key_and_place() -> None:
    assert first_draw("a", 3, 2) == first_draw("a", 3, 2)


def test_streams_differ_in_key_chunk_and_number() -> None:
    draws = {first_draw(key, chunk, stream) for key in "ab" for chunk in range(20) for stream in range(4)}
    assert len(draws) == 2 * 20 * 4


def test_seeds_within_an_ensemble_never_coincide() -> None:
    words = [mixed(word) for word in (*range(200_000), *range(2**32 - 1000, 2**32))]
    assert len(set(words)) == len(words)
    assert max(words) < 2**32


def test_neighbouring_streams_are_uncorrelated() -> None:
    streams = Streams("key", 2, CPU)
    draws = torch.stack(
        [torch.randn(10_000, generator=streams.generator(chunk, s)) for chunk in range(5) for s in range(2)]
    )
    correlation = torch.corrcoef(draws) - torch.eye(10)
    assert float(correlation.abs().max()) < 0.04  # four standard errors


@pytest.mark.parametrize("numbers", [1, 96, 384, 4096, 10**7])
def test_chunks_divide_groups_and_fit_the_cache(numbers: int) -> None:
    size = chunk_members(numbers, "cpu")
    assert GROUP % size == 0
    assert size == 1 or size * numbers <= CHUNK_NUMBERS
    assert chunk_members(numbers, "cuda") == GROUP
