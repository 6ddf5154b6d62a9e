"""Stage ``practice/training``: losses of networks of every recipe after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.practice.build import cell_chain
from rgflow.practice.contest import train_recipes
from rgflow.practice.spec import Contest
from rgflow.study.gather import single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.practice.contest.train_recipes`."""
    task = task_of(datasets)
    return train_recipes(task, cell_chain(task, spec), single(datasets, "theory"), Contest(**spec["practice"]))
