"""Stage ``comparison/exact``: z-scores against the laws that hold at every width, where there are such laws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import probes_of
from rgflow.chapters.networks.build import network_of
from rgflow.comparison.compare import compare_exact
from rgflow.study.gather import along
from rgflow.theory.initialization.exact import exact_theory

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_OUTPUTS = 2  # as the networks that were sampled


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.compare.compare_exact`."""
    import xarray as xr

    experiment = along(datasets, "experiment", "width")
    networks = {n: network_of({**spec, "width": int(n)}, datasets, _OUTPUTS) for n in experiment["width"].values}
    laws = [exact_theory(network, probes_of(datasets)).expand_dims(width=[n]) for n, network in networks.items()]
    return compare_exact(xr.concat(laws, "width"), experiment)
