"""Stage ``comparison/exponents``: how V/K^2 and its companions grow with depth, measured and predicted, all widths together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.exponents import depth_exponents
from rgflow.study.gather import along, single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.exponents.depth_exponents`."""
    return depth_exponents(single(datasets, "theory"), along(datasets, "experiment", "width"))
