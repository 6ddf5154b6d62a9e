"""Stage ``theory/practice``: variances, signals and safe learning rates of every recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.practice.build import cell_chain
from rgflow.practice.recipes import recipes

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.practice.recipes.recipes`."""
    task = task_of(datasets)
    return recipes(task, cell_chain(task, spec))
