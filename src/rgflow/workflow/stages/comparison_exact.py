"""Stage ``comparison/exact``: z-scores against the laws that hold at every width, where there are such laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.compare import compare_exact
from rgflow.theory.initialization.exact import exact_theory
from rgflow.workflow.stages.build import network_of, over_widths, probes_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec

_OUTPUTS = 2  # as the networks that were sampled


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.compare.compare_exact`."""
    (inputs,), widths = datasets["inputs"], spec["width"]
    networks = [network_of({**spec, "width": width}, datasets, _OUTPUTS) for width in widths]
    exact = over_widths([exact_theory(network, probes_of(inputs)) for network in networks], widths)
    return compare_exact(exact, over_widths(datasets["experiment"], widths))
