"""Networks per second at initialization: marginal sampler, weight sampler, and the bound set by the normals.

    python tests/benchmarks/bench_sampling.py [--quick]

One thread; times are CPU times of this process, so that a busy machine disturbs them less. Each row draws the preactivations
and one output's NTK of ReLU networks of depth 8 in the last layer, both samplers at their best batch size. ``floor`` is the
time torch needs for the normals that the marginal sampler draws, as a fraction of its own. ``all layers`` is the rate at
which the marginal sampler gives metric and mean NTK (given the forward pass) in all layers.

Then the same quantities beside `monte_carlo_kernel_fn` of neural-tangents, and what a second dask worker adds.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bench_theory import measured, peer_python

from rgflow.compute.machine import one_thread
from rgflow.network import Network
from rgflow.sampling.backward import backward
from rgflow.sampling.blocks import sample_initialization
from rgflow.sampling.forward import forward
from rgflow.sampling.marginal import marginal_samples
from rgflow.sampling.rng import CHUNK_NUMBERS, Streams, chunk_members
from rgflow.sampling.target import Target
from rgflow.sampling.weights import weight_samples

CPU = torch.device("cpu")
DEPTH = 8
FEATURES = 16


def rate(draw: Callable[[int], object], members: int, seconds: float) -> float:
    """Members per CPU second of a function that draws a chunk of ``members``."""
    draw(0)
    start, chunks = time.process_time(), 0
    while chunks == 0 or time.process_time() - start < seconds:
        chunks += 1
        draw(chunks)
    return chunks * members / (time.process_time() - start)


def make_target(n: int, N: int, layers: Iterable[int]) -> Target:
    x = torch.tensor(np.random.default_rng(0).normal(size=(N, FEATURES)))
    network = Network("relu", (FEATURES, *[n] * (DEPTH - 1), 1), 0.0, 2.0)
    return Target(network, x, tuple(layers), frozenset({"Theta"}), torch.float32)


def marginal_rate(target: Target, members: int, seconds: float) -> float:
    streams = Streams("bench", CPU)

    def draw(chunk: int) -> object:
        passed = forward(target, members, streams.generator(chunk, 0))
        return backward(passed, target.outputs, streams.generator(chunk, 1))

    return rate(draw, members, seconds)


def weights_rate(target: Target, members: int, seconds: float) -> float:
    streams = Streams("bench", CPU)
    return rate(
        lambda chunk: weight_samples(target, members, partial(streams.generator, chunk), "normal"), members, seconds
    )


def all_layers_rate(n: int, N: int, members: int, seconds: float) -> float:
    streams, target = Streams("bench", CPU), make_target(n, N, range(1, DEPTH + 1))
    return rate(lambda chunk: marginal_samples(target, members, partial(streams.generator, chunk)), members, seconds)


def normals_rate(seconds: float) -> float:
    """Normals per CPU second, in the chunks of the sampler."""
    buffer, generator = torch.empty(CHUNK_NUMBERS), torch.Generator().manual_seed(1)
    return rate(lambda _: buffer.normal_(generator=generator), CHUNK_NUMBERS, seconds)


def normals_needed(n: int, N: int) -> int:
    """Per network: N rows in each hidden layer forward; backward one, then N."""
    return n * N * (DEPTH - 1) + n * (1 + N * (DEPTH - 2)) + N


def compare(n: int, N: int, seconds: float) -> str:
    target, members = make_target(n, N, [DEPTH]), chunk_members(n * N, "cpu")
    marginal = marginal_rate(target, members, seconds)
    weights = max(
        weights_rate(target, size, seconds / 2) for size in sorted({1, max(1, 2**17 // n**2), max(1, 2**20 // n**2)})
    )
    floor = normals_rate(seconds / 4) / normals_needed(n, N)
    row = (
        f"{n:6d} {N:4d} {members:6d} {marginal:12.0f} {weights:12.1f} {marginal / weights:8.1f} {marginal / floor:7.2f}"
    )
    return row + (f" {all_layers_rate(n, N, members, seconds):12.0f}" if N <= 4 else "")


def against_peer(n: int, N: int, seconds: float) -> str:
    """NNGP and NTK of the last layer, from networks of our marginal sampler and of neural-tangents."""
    with one_thread():
        ours = marginal_rate(make_target(n, N, [DEPTH]), chunk_members(n * N, "cpu"), seconds)
    row = f"NNGP and NTK, n = {n}, {N} inputs, depth {DEPTH}: {ours:.0f} networks/s"
    if (python := peer_python()) is None:
        return row
    theirs, _ = measured(python, Path(__file__).with_name("peer_neural_tangents_sampling.py"), n, N, DEPTH, FEATURES)
    return f"{row}, neural-tangents {theirs:.0f}, ratio {ours / theirs:.0f}"


def cost(members: int, workers: int) -> np.ndarray:
    """Wall seconds times workers, and CPU seconds of this process and its workers."""
    x = np.random.default_rng(0).normal(size=(3, FEATURES))
    network = Network("tanh", (FEATURES, *[128] * 7, 1), 0.0, 1.0)
    start = np.array([time.perf_counter(), sum(os.times()[:4])])
    sample_initialization(network, x, members=members, seed=1, workers=workers, device="cpu")
    return (np.array([time.perf_counter(), sum(os.times()[:4])]) - start) * [workers, 1]


def scaling(members: int) -> str:
    """Networks/s per core of two dask workers over one, with the start of the cluster and (by difference) without it."""
    cost(2000, 1)
    one, two = ([cost(count, workers) for count in (members // 5, members)] for workers in (1, 2))
    included, excluded = one[1] / two[1], (one[1] - one[0]) / (two[1] - two[0])
    return (
        f"{members} members, two workers over one, networks/s per core, without | with the start of the cluster:\n"
        f"  wall time {excluded[0]:.2f} | {included[0]:.2f}   CPU time {excluded[1]:.2f} | {included[1]:.2f}   "
        f"(load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; wall time needs a machine of one's own)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    quick = parser.parse_args().quick
    print("     n    N  chunk  marginal/s    weights/s    ratio   floor  all layers/s")
    with one_thread():
        for n in (64, 256, 1024):
            for N in (1, 4, 16):
                print(compare(n, N, 0.3 if quick else 3.0), flush=True)
    print(against_peer(256, 8, 0.3 if quick else 3.0), flush=True)
    print(scaling(150_000 if quick else 600_000))


if __name__ == "__main__":
    main()
