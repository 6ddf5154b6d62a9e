"""Stage ``theory/initialization``: all tensors of the theory at initialization on the probe inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.workflow.stages.build import network_of, probes_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.initialization.tensors.initialization_theory`."""
    (inputs,) = datasets["inputs"]
    return initialization_theory(network_of(spec, datasets, outputs=1), probes_of(inputs))
