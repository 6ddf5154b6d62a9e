"""Stage ``training/combine``: statistics over the members of a trained ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.study.gather import each
from rgflow.training.combine import combine_training

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.training.combine.combine_training`."""
    return combine_training(each(datasets, "blocks", "block"))
