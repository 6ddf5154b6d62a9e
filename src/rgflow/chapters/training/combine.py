"""Stage ``training/combine``: statistics over the members of a trained ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.study.gather import each, single
from rgflow.training.combine import combine_training

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.training.combine.combine_training`; theory knows the means of control variates at order 1/n."""
    theory = single(datasets, "theory")
    known = theory if "linear_mean1" in theory else None
    return combine_training(each(datasets, "blocks", "block"), controls=known)
