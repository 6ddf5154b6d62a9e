"""Stage ``theory/learning_rate``: the learning-rate tensor and the step size of training.

A stage of its own, so that an edit of the theory that leaves the step size as it was leaves the trained ensembles alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.networks.build import network_of
from rgflow.chapters.networks.hyperparameters import layer_learning_rates
from rgflow.chapters.training.build import cell_task, with_rates
from rgflow.theory.learning.rate import learning_rate

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """``layer_lambda_b``, ``layer_lambda_W`` on ``layer`` 1..L, and ``learning_rate``, given or from the NTK of the task."""
    import numpy as np
    import xarray as xr

    task = cell_task(datasets, spec)
    network = network_of(spec, datasets, task.train_targets.shape[1])
    rates = layer_learning_rates(network.activation, spec["rates"], network.depth)
    trained = with_rates(network, rates["layer_lambda_b"], rates["layer_lambda_W"])
    given = spec["training"]["learning_rate"]
    eta = given or learning_rate(trained, task.train_inputs, spec["step_fraction"])
    layers = {"layer": np.arange(1, network.depth + 1)}
    return xr.Dataset({name: ("layer", values) for name, values in rates.items()} | {"learning_rate": eta}, layers)
