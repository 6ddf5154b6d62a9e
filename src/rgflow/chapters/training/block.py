"""Stage ``training/block``: train one block of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.networks.build import network_of
from rgflow.study.gather import single
from rgflow.training.ensemble import train_block
from rgflow.training.spec import TrainingSpec

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.training.ensemble.train_block`."""
    task, block = task_of(datasets), spec["block"]
    rate = float(single(datasets, "learning_rate")["learning_rate"])
    settings = TrainingSpec(**spec["training"], members=block["count"], learning_rate=rate)
    return train_block(
        network_of(spec, datasets, task.train_targets.shape[1]),
        task,
        settings,
        range(block["first"], block["first"] + block["count"]),
        device=resources.device,
        workers=resources.workers,
        cluster=resources.cluster,
        progress=resources.progress,
    )
