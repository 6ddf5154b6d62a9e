"""Stage ``comparison/dntk``: z-scores and 1/n trends of the differentials of the NTK, all widths together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.compare import compare_dntk
from rgflow.workflow.stages.build import over_widths

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.compare.compare_dntk`."""
    (theory,) = datasets["theory"]
    return compare_dntk(theory, over_widths(datasets["experiment"], spec["width"]))
