"""Stage ``theory/infinite_width``: K and Theta of the last layer for all inputs, however many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.theory.infinite_width import infinite_width_theory
from rgflow.workflow.stages.build import network_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.infinite_width.infinite_width_theory`; its attributes say whether K and Theta are kernels."""
    (inputs,) = datasets["inputs"]
    network = network_of(spec, datasets, outputs=1)
    result = infinite_width_theory(network, inputs["x"].values, spec["precision"], resources.workers)
    return result.rename(K="K_output", Theta="Theta_output")
