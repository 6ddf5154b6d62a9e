"""Stage ``theory/training``: the kernel prediction of gradient descent at every recorded step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.networks.build import network_of
from rgflow.theory.learning.training import highest_order, training_theory
from rgflow.training.spec import TrainingSpec

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.learning.training.training_theory`."""
    task, training = task_of(datasets), TrainingSpec(**spec["training"])
    network = network_of(spec, datasets, task.train_targets.shape[1])
    return training_theory(
        network,
        task.train_inputs,
        task.train_targets,
        task.test_inputs,
        test_targets=task.test_targets,
        steps=training.recorded,
        step_fraction=training.step_fraction,
        order=highest_order(network),
    )
