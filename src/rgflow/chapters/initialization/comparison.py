"""Stage ``comparison/initialization``: z-scores and 1/n trends of the tensors at initialization, all widths together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.compare import compare
from rgflow.comparison.quantities import INITIALIZATION
from rgflow.study.gather import along, single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.compare.compare`."""
    return compare(single(datasets, "theory"), along(datasets, "experiment", "width"), INITIALIZATION)
