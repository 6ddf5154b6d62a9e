"""Stage ``comparison/dntk``: z-scores and 1/n trends of the differentials of the NTK, in the layers that were sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.comparison.compare import compare
from rgflow.comparison.quantities import DNTK
from rgflow.study.gather import along, single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.compare.compare`."""
    experiment = along(datasets, "experiment", "width")
    return compare(single(datasets, "theory").sel(layer=experiment["layer"]), experiment, DNTK)
