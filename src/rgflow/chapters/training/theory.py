"""Stage ``theory/training``: the kernel prediction of gradient descent at every recorded step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.networks.build import network_of
from rgflow.task import logarithmic_steps
from rgflow.theory.learning.training import training_theory

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.training.training_theory`."""
    task, training = task_of(datasets), spec["training"]
    return training_theory(
        network_of(spec, datasets, task.train_targets.shape[1]),
        task.train_inputs,
        task.train_targets,
        task.test_inputs,
        test_targets=task.test_targets,
        steps=logarithmic_steps(training["steps"], training["records"]),
        step_fraction=training["step_fraction"],
    )
