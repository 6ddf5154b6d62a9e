"""Stage ``training/block``: train one block of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.training.build import cell_method, cell_network, cell_task
from rgflow.training.ensemble import train_block

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.training.ensemble.train_block`."""
    first, count = spec["block"]["first"], spec["block"]["count"]
    return train_block(
        cell_network(datasets, spec),
        cell_task(datasets, spec),
        cell_method(datasets, spec, members=count),
        range(first, first + count),
        device=resources.device,
        workers=resources.workers,
        cluster=resources.cluster,
        progress=resources.progress,
    )
