"""Chunks: the members of an ensemble that are drawn together, and the memory this takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import xarray as xr

from rgflow.compute.machine import physical_memory, resident_memory
from rgflow.errors import TransientError
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.sampling.marginal import marginal_samples
from rgflow.sampling.memory import Footprint
from rgflow.sampling.rng import Streams, chunk_members
from rgflow.sampling.samples import Samples
from rgflow.sampling.spec import SamplingSpec
from rgflow.sampling.target import Target
from rgflow.sampling.weights import weight_samples


def make_target(network: Network, inputs: Inputs, ensemble: SamplingSpec, device: torch.device) -> Target:
    """What the samplers draw for an ensemble; checks network, inputs and settings against each other."""
    input_gram(network, inputs)
    if isinstance(inputs, xr.DataArray) and set(inputs.dims) == {"sample", "feature"}:
        inputs = inputs.transpose("sample", "feature")
    x = torch.as_tensor(np.array(inputs, dtype=np.float64), device=device)
    layers = ensemble.reported_layers(network)
    return Target(network, x, layers, frozenset(ensemble.tensors), ensemble.torch_dtype())


def checked_chunk_size(target: Target, ensemble: SamplingSpec, memory: float | None) -> int:
    """Members drawn together.

    Parameters
    ----------
    target, ensemble
        What is drawn.
    memory
        Bytes that this process may use; None: all of the machine. On a GPU its own memory counts.

    Raises
    ------
    RgflowError
        If a chunk does not fit; its size is a property of the format, so it cannot shrink.
    """
    footprint, device = footprint_of(target, ensemble), target.x.device
    size = chunk_members(footprint.largest_array, device.type)
    needed = footprint.chunk_bytes(size)
    if device.type == "cuda":
        allowed = float(torch.cuda.mem_get_info(device)[1])
    else:
        needed += resident_memory()
        allowed = physical_memory() if memory is None else memory
    if needed > allowed:
        raise TransientError(
            f"drawing {size} members at once needs {needed / 2**30:.2f} GiB; a process may use {allowed / 2**30:.2f} GiB"
        )
    return size


def footprint_of(target: Target, ensemble: SamplingSpec) -> Footprint:
    """Sizes of what is drawn for each member of an ensemble."""
    return Footprint(
        widths=target.network.widths[: target.layers[-1] + 1],
        inputs=len(target.x),
        layers=len(target.layers),
        outputs=target.outputs,
        tensors=len(target.tensors),
        itemsize=target.dtype.itemsize,
        weights=ensemble.sampler == "weights",
    )


def chunk_sampler(target: Target, ensemble: SamplingSpec) -> Callable[[int, int], Samples]:
    """The function that draws (chunk, members)."""
    network = target.network
    skip = network.architecture.strengths.values()
    law = (network.activation.draws_key, network.widths, network.C_b, network.C_W, len(target.x), *skip)
    streams = Streams(repr((ensemble.seed, ensemble.sampler, ensemble.law, *law)), target.x.device)

    def draw(chunk: int, members: int) -> Samples:
        generator = partial(streams.generator, chunk)
        if ensemble.sampler == "weights":
            return weight_samples(target, members, generator, ensemble.law)
        return marginal_samples(target, members, generator)

    return draw
