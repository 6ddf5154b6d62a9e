"""Stage ``bayes/pilot``: find the stages of tempering that all blocks of a posterior follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.bayes.read import inference_of, posterior_task
from rgflow.chapters.networks.build import network_of
from rgflow.posterior.blocks import pilot

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.posterior.blocks.pilot`."""
    task = posterior_task(datasets, spec)
    network = network_of(spec, datasets, task.train_targets.shape[1])
    return pilot(network, task, inference_of(spec), device=resources.device, memory=resources.memory_of_worker)
