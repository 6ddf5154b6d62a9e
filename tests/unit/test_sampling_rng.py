"""Keyed draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rgflow.sampling.rng import CHUNK_NUMBERS, GROUP, Streams, chunk_members, keyed_generator

CPU = torch.device("cpu")


def first_draw(key: str, chunk: int, stream: int) -> float:
    return float(torch.randn(1, generator=Streams(key, CPU).generator(chunk, stream)))


def test_a_stream_is_a_function_of_its_key_and_place() -> None:
    assert first_draw("a", 3, 2) == first_draw("a", 3, 2)


def test_streams_differ_in_key_chunk_and_number() -> None:
    draws = {first_draw(key, chunk, stream) for key in "ab" for chunk in range(20) for stream in range(4)}
    assert len(draws) == 2 * 20 * 4


def state(generator: torch.Generator) -> bytes:
    return generator.get_state().numpy().tobytes()


def test_the_whole_state_of_the_twister_is_the_hash() -> None:
    """numpy's twister, set to the same 624 words, draws the same bits: torch reads them as meant, none is left out."""
    drawn = keyed_generator("key", CPU)
    words = np.frombuffer(state(drawn)[24 : 24 + 8 * 624], np.int64)
    assert len(np.unique(words)) == 624
    assert words.min() >= 0
    assert words.max() < 2**32
    twister = np.random.MT19937()
    twister.state = {"bit_generator": "MT19937", "state": {"key": words.astype(np.uint32), "pos": 624}}
    bits = torch.empty(2000, dtype=torch.int32).random_(generator=drawn)
    np.testing.assert_array_equal(bits, twister.random_raw(2000) % 2**31)


def test_streams_of_a_large_sweep_have_keys_of_their_own() -> None:
    """Every fifth of 100 groups in 5000 ensembles: keys of 32 bits would give two of these streams the same numbers."""
    sweep = [Streams(f"ensemble {cell}", CPU) for cell in range(5000)]
    beginnings = {state(streams.generator(group, 0))[24:56] for streams in sweep for group in range(0, 100, 5)}
    assert len(beginnings) == 100_000  # by four words of 624 alone


def test_streams_do_not_overlap() -> None:
    """Words of the twister's raw output are found in one stream only: none is where another has been."""
    streams = Streams("key", CPU)
    drawn = [
        torch.empty(2000, dtype=torch.int64).random_(generator=streams.generator(chunk, s))
        for chunk in range(50)
        for s in range(4)
    ]
    assert len(torch.cat(drawn).unique()) == 200 * 2000  # of 63 bits: two are equal with probability 1e-8


def test_neighbouring_streams_are_uncorrelated() -> None:
    streams = Streams("key", CPU)
    draws = torch.stack(
        [torch.randn(10_000, generator=streams.generator(chunk, s)) for chunk in range(25) for s in range(4)]
    )
    z = torch.corrcoef(draws).numpy()[np.triu_indices(100, 1)] * 10_000**0.5
    assert abs((z**2).mean() - 1.0) < 4 * (2 / z.size) ** 0.5
    assert abs(z).max() < 5.5  # of 4950 pairs: exceeded with probability 2e-4


@pytest.mark.parametrize("numbers", [1, 96, 384, 4096, 10**7])
def test_chunks_divide_groups_and_fit_the_cache(numbers: int) -> None:
    size = chunk_members(numbers, "cpu")
    assert GROUP % size == 0
    assert size == 1 or size * numbers <= CHUNK_NUMBERS
    assert chunk_members(numbers, "cuda") == GROUP
