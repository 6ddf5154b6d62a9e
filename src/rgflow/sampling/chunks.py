"""Chunks: the members of an ensemble that are drawn together, and the memory this takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import torch
import xarray as xr

from rgflow.compute import physical_memory
from rgflow.errors import RgflowError
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.sampling.marginal import marginal_samples
from rgflow.sampling.rng import Streams, chunk_members
from rgflow.sampling.samples import Samples, Target
from rgflow.sampling.spec import Ensemble
from rgflow.sampling.weights import weight_samples


def make_target(network: Network, inputs: Inputs, ensemble: Ensemble, device: torch.device) -> Target:
    """What the samplers draw for an ensemble; checks network, inputs and settings against each other."""
    input_gram(network, inputs)
    if isinstance(inputs, xr.DataArray) and set(inputs.dims) == {"sample", "feature"}:
        inputs = inputs.transpose("sample", "feature")
    x = torch.as_tensor(np.array(inputs, dtype=np.float64), device=device)
    layers = ensemble.reported_layers(network)
    return Target(network, x, layers, frozenset(ensemble.tensors), ensemble.torch_dtype())


def checked_chunk_size(target: Target, ensemble: Ensemble) -> int:
    """Members drawn together.

    Raises
    ------
    RgflowError
        If the arrays of a chunk do not fit the machine's memory.
    """
    size = chunk_members(_largest_array(target, ensemble), target.x.device.type)
    needed = chunk_bytes(target, ensemble, size)
    device = target.x.device
    total = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else physical_memory()
    if needed > total:
        raise RgflowError(
            f"drawing {size} members at once needs {needed / 2**30:.1f} GiB; there are {total / 2**30:.1f} GiB"
        )
    return size


def _largest_array(target: Target, ensemble: Ensemble) -> int:
    widths = target.network.widths[: target.layers[-1] + 1]
    if ensemble.sampler == "weights":
        return max(below * width for below, width in pairwise(widths))
    return len(target.x) * max([1, *(target.network.widths[layer] for layer in target.hidden)])


def chunk_bytes(target: Target, ensemble: Ensemble, members: int) -> int:
    """Upper estimate of the memory to draw ``members`` together, known beforehand."""
    N, widths = len(target.x), target.network.widths[: target.layers[-1] + 1]
    rows = sum(widths) * N * 3 + max(widths) * N * (2 * N + 6) * target.outputs
    weights = sum(below * width for below, width in pairwise(widths))
    numbers = rows + (2 * weights if ensemble.sampler == "weights" else 0)
    small = len(target.layers) * N**2 * (4 + target.outputs**2) + 8 * N**4
    return members * (numbers * target.dtype.itemsize + small * 8) + 8 * len(target.layers) * N**4 * len(target.tensors)


def chunk_sampler(target: Target, ensemble: Ensemble) -> Callable[[int, int], Samples]:
    """The function that draws (chunk, members)."""
    network = target.network
    skip = (network.xi_1, network.xi_2) if network.residual else ()
    law = (network.activation.label, network.widths, network.C_b, network.C_W, len(target.x), *skip)
    streams = Streams(repr((ensemble.seed, ensemble.sampler, ensemble.law, *law)), network.depth, target.x.device)

    def draw(chunk: int, members: int) -> Samples:
        generator = partial(streams.generator, chunk)
        if ensemble.sampler == "weights":
            return weight_samples(target, members, generator, ensemble.law)
        return marginal_samples(target, members, generator)

    return draw
