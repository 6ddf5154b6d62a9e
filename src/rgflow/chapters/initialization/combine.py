"""Stage ``ensemble/combine``: from the blocks of an ensemble to estimates with standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.sampling.groups import combine, estimate_tensors
from rgflow.study.gather import each

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.sampling.groups.combine` and :func:`rgflow.sampling.groups.estimate_tensors`."""
    return estimate_tensors(combine(each(datasets, "blocks", "block")))
