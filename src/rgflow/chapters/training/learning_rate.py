"""Stage ``theory/learning_rate``: the step size of training.

A stage of its own, so that an edit of the theory that leaves the step size as it was leaves the trained ensembles alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.networks.build import network_of
from rgflow.theory.learning.rate import learning_rate

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.rate.learning_rate`."""
    import xarray as xr

    task = task_of(datasets)
    network = network_of(spec, datasets, task.train_targets.shape[1])
    rate = learning_rate(network, task.train_inputs, spec["training"]["step_fraction"])
    return xr.Dataset({"learning_rate": rate})
