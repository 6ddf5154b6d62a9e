"""Stage ``comparison/training``: z-scores and 1/n trends of test predictions, losses and NTK, all widths together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.training import compare_training
from rgflow.study.gather import along, single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.training.compare_training`."""
    return compare_training(single(datasets, "theory"), along(datasets, "experiment", "width"))
