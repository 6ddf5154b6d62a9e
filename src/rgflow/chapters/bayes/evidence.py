"""Stage ``theory/evidence``: the log evidence over initializations and depths, to order 1/n."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.activations.registry import activation
from rgflow.chapters.bayes.read import posterior_task
from rgflow.theory.criticality.critical import critical
from rgflow.theory.learning.evidence import evidence_map

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.evidence.evidence_map`; with the critical point, NaN where there is none or a line."""
    task, grid = posterior_task(datasets, spec), spec["bayes"]["evidence"]
    sigma = activation(spec["activation"]["name"], **spec["activation"]["parameters"])
    found = evidence_map(
        sigma,
        task.train_inputs,
        task.train_targets,
        C_b=grid["C_b"],
        C_W=grid["C_W"],
        depth=sorted(grid["depth"] or spec["bayes"]["depth"] or spec["networks"]["depth"]),
        noise=spec["noise"],
        workers=resources.workers,
        progress=resources.progress,
    )
    point = critical(sigma)
    return found.assign(critical_C_b=point.C_b, critical_C_W=point.C_W)
