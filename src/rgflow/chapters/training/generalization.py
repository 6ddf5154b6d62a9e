"""Stage ``theory/generalization``: the expected test loss against width and depth, and where the expansion in 1/n ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rgflow.activations.registry import activation
from rgflow.theory.depth.information import optimal_aspect_ratio, vertex_growth
from rgflow.theory.learning.generalization import generalization

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.generalization`; at criticality also ``vertex_growth`` and ``optimal_aspect_ratio``."""
    cells = {int(one.labels["depth"]): one.dataset for one in datasets["theory"]}
    theories = {depth: cells[depth] for depth in sorted(cells)}
    found = generalization(theories, sorted(spec["networks"]["width"]))
    found = found.drop_encoding()  # that of stored scalars
    return found.assign(_aspect(spec, next(iter(theories.values())).sizes["output"]))


def _aspect(spec: Spec, outputs: int) -> dict[str, Any]:
    if spec["init"] != "critical":
        return {}
    nu = vertex_growth(activation(spec["activation"]["name"], **spec["activation"]["parameters"]))
    return {"vertex_growth": nu, "optimal_aspect_ratio": optimal_aspect_ratio(nu, outputs)}
