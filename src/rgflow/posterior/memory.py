"""The memory that an island takes, known before anything is drawn."""

from __future__ import annotations

from itertools import pairwise

import torch

from rgflow.compute.machine import physical_memory, resident_memory
from rgflow.errors import TransientError
from rgflow.posterior.factors import smaller_factor
from rgflow.posterior.problem import Problem, kernel_numbers, slice_members
from rgflow.posterior.tempering import PILOT_SIZE

_DOUBLE = 8
_COPIES = 12  # of u: it, its gradient and its momentum before, on the way and after a move, and of the prior particles
_LIBRARIES = 2**27  # bytes of what is loaded on first use, compiled loops above all
_LAYER_COPIES = 4  # of the activations of each layer of a slice: z, sigma, sigma', cotangents


def check_memory(problem: Problem, memory: float | None, islands: int) -> None:
    """Raise one line unless the particles and the moments of so many islands fit.

    Parameters
    ----------
    problem
        What is sampled.
    memory
        Bytes that this process may use; None: all of the machine. On a GPU its own memory counts.
    islands
        How many islands' moments are held at once.
    """
    needed, cuda = needed_bytes(problem, islands), problem.device.type == "cuda"
    if cuda:
        allowed = float(torch.cuda.mem_get_info(problem.device)[1])
    else:
        needed += resident_memory()
        allowed = physical_memory() if memory is None else memory
    if needed > allowed:
        samples, outputs = len(problem.task.inputs), problem.network.widths[-1]
        raise TransientError(
            f"{problem.inference.particles} particles on {samples} samples with {outputs} outputs need "
            f"{needed / 2**30:.2f} GiB; a process may use {allowed / 2**30:.2f} GiB"
        )


def needed_bytes(problem: Problem, islands: int) -> float:
    """Upper estimate of the memory of an island, or the pilot, and of the moments of islands."""
    network, N = problem.network, len(problem.task.inputs)
    itemsize = problem.inference.torch_dtype().itemsize
    particles = problem.inference.particles
    together = min(particles, slice_members(kernel_numbers(network, N)) if problem.device.type == "cpu" else particles)
    state = particles * (
        _COPIES * PILOT_SIZE * numbers_of_u(problem, problem.task.train_count) + 2 * numbers_of_u(problem, N)
    )
    layers = _LAYER_COPIES * together * N * sum(network.widths[1:-1])
    small = together * N**2 * (network.depth + 6)
    moments = (islands + 3) * (N * network.widths[-1]) ** 2
    return _LIBRARIES + (state + layers) * itemsize + (small + moments) * _DOUBLE


def numbers_of_u(problem: Problem, samples: int) -> int:
    """Numbers of u of a particle on so many samples."""
    widths, train_count = problem.network.widths, problem.task.train_count
    above = (smaller_factor(1.0, 1.0, below, train_count).rows(samples) * n for below, n in pairwise(widths[1:-1]))
    return samples * widths[1] + sum(above)
