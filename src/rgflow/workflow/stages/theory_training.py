"""Stage ``theory/training``: the kernel prediction of gradient descent at every recorded step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.theory.learning.training import training_theory
from rgflow.workflow.stages.build import network_of, recorded_steps, task_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.training.training_theory`."""
    (inputs,) = datasets["inputs"]
    task, training = task_of(inputs), spec["training"]
    return training_theory(
        network_of(spec, datasets, task.train_targets.shape[1]),
        task.train_inputs,
        task.train_targets,
        task.test_inputs,
        test_targets=task.test_targets,
        steps=recorded_steps(training["steps"], training["records"]),
        step_fraction=training["step_fraction"],
    )
