"""Stage ``comparison/exponents``: how V/K^2 and its companions grow with depth, measured and predicted, all widths together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.exponents import depth_exponents
from rgflow.workflow.stages.build import over_widths

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.exponents.depth_exponents`."""
    (theory,) = datasets["theory"]
    return depth_exponents(theory, over_widths(datasets["experiment"], spec["width"]))
