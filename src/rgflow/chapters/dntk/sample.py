"""Stage ``dntk/sample``: sample the differentials of the NTK of networks at initialization."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import probes_of
from rgflow.chapters.networks.build import network_of
from rgflow.sampling.dntk import sample_dntk

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_OUTPUTS = 2  # different neurons, enough for every tensor


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.sampling.dntk.sample_dntk`."""
    return sample_dntk(
        network_of(spec, datasets, _OUTPUTS),
        probes_of(datasets),
        **spec["dntk"],
        workers=resources.workers,
        cluster=resources.cluster,
        progress=resources.progress,
    )
