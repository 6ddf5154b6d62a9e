"""Stage ``ensemble/block``: sample one block of networks at initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import probes_of
from rgflow.chapters.networks.build import network_of
from rgflow.sampling.blocks import sample_block
from rgflow.sampling.rng import GROUP
from rgflow.sampling.spec import SamplingSpec

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_OUTPUTS = 2  # two neurons, so that every tensor exists in the last layer too


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.sampling.blocks.sample_block`."""
    block = spec["block"]
    first, count = block["first"] // GROUP, block["count"] // GROUP
    return sample_block(
        network_of(spec, datasets, _OUTPUTS),
        probes_of(datasets),
        range(first, first + count),
        SamplingSpec(**spec["ensemble"]),
        device=resources.device,
        workers=resources.workers,
        cluster=resources.cluster,
        memory=resources.memory_of_worker,
        progress=resources.progress,
    )
