"""Stage ``training/block``: train one block of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.training.ensemble import train_block
from rgflow.training.spec import TrainingSpec
from rgflow.workflow.stages.build import network_of, recorded_steps, task_of

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.training.ensemble.train_block`."""
    (inputs,), (rate,) = datasets["inputs"], datasets["learning_rate"]
    task, training = task_of(inputs), spec["training"]
    steps = recorded_steps(training["steps"], training["records"])
    settings = TrainingSpec(
        seed=training["seed"],
        learning_rate=float(rate["learning_rate"]),
        steps=steps,
        dtype=training["dtype"],
        ntk_steps=(0, steps[-1]),
    )
    members = range(spec["first"], spec["first"] + spec["count"])
    network = network_of(spec, datasets, task.train_targets.shape[1])
    return train_block(
        network,
        task,
        settings,
        members,
        device=resources.device,
        workers=resources.workers,
        cluster=resources.cluster,
        progress=resources.progress,
    )
