"""Stage ``theory/initialization``: tensors of the theory at initialization on the probe inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import probes_of
from rgflow.chapters.networks.build import network_of
from rgflow.theory.initialization.tensors import initialization_theory

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.initialization.tensors.initialization_theory`."""
    return initialization_theory(network_of(spec, datasets, outputs=1), probes_of(datasets))
