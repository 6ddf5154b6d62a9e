"""Stage ``ensemble/block``: sample one block of networks at initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.sampling.blocks import sample_block
from rgflow.sampling.rng import GROUP
from rgflow.sampling.spec import Ensemble
from rgflow.workflow.stages.build import network_of, probes_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec

_OUTPUTS = 2  # two neurons, so that every tensor exists in the last layer too


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.sampling.blocks.sample_block`."""
    (inputs,) = datasets["inputs"]
    settings = spec["ensemble"]
    ensemble = Ensemble(
        settings["seed"],
        tuple(settings["tensors"]),
        settings["sampler"],
        dtype=settings["dtype"],
        kept=settings["kept"],
    )
    first, count = spec["first"] // GROUP, spec["count"] // GROUP
    return sample_block(
        network_of(spec, datasets, _OUTPUTS),
        probes_of(inputs),
        range(first, first + count),
        ensemble,
        device=resources.device,
        workers=resources.workers,
        cluster=resources.cluster,
        memory=resources.memory_of_worker,
        progress=resources.progress,
    )
