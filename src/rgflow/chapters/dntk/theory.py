"""Stage ``theory/dntk``: differentials of the NTK on the probe inputs, P to U."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import probes_of
from rgflow.chapters.networks.build import network_of
from rgflow.theory.initialization.dntk import dntk_theory

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.initialization.dntk.dntk_theory`."""
    return dntk_theory(network_of(spec, datasets, outputs=1), probes_of(datasets))
