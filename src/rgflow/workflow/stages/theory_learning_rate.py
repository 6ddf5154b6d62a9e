"""Stage ``theory/learning_rate``: the step size of training.

A stage of its own, so that an edit of the theory that leaves the step size as it was leaves the trained ensembles alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.theory.learning.training import learning_rate
from rgflow.workflow.stages.build import network_of, task_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.training.learning_rate`."""
    import xarray as xr

    (inputs,) = datasets["inputs"]
    task = task_of(inputs)
    network = network_of(spec, datasets, task.train_targets.shape[1])
    return xr.Dataset({"learning_rate": learning_rate(network, task.train_inputs, spec["step_fraction"])})
