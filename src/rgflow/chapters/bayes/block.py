"""Stage ``bayes/block``: draw a block of islands of a posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.bayes.read import inference_of, posterior_task
from rgflow.chapters.networks.build import network_of
from rgflow.posterior.blocks import pilot, sample_posterior_block
from rgflow.study.gather import single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.posterior.blocks.sample_posterior_block`; the only block finds its stages itself."""
    task, inference, block = posterior_task(datasets, spec), inference_of(spec), spec["block"]
    network = network_of(spec, datasets, task.train_targets.shape[1])
    device, memory = resources.device, resources.memory_of_worker
    schedule = (
        single(datasets, "pilot")
        if datasets.get("pilot")
        else pilot(network, task, inference, device=device, memory=memory)
    )
    return sample_posterior_block(
        network,
        task,
        inference,
        schedule,
        range(block["first"], block["first"] + block["count"]),
        device=device,
        workers=resources.workers,
        cluster=resources.cluster,
        memory=memory,
        progress=resources.progress,
    )
