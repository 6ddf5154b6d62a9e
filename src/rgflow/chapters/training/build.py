"""From the datasets and the spec of a cell to its learning task, its network and its method."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rgflow.chapters.inputs.read import task_of
from rgflow.chapters.networks.build import network_of
from rgflow.network import Network
from rgflow.study.gather import single
from rgflow.task import Task
from rgflow.training.spec import TrainingSpec

if TYPE_CHECKING:
    from rgflow.study.stage import Datasets, Spec


def cell_task(datasets: Datasets, spec: Spec) -> Task:
    """The task with the first train samples of the inputs, as many as the cell has, and all test samples."""
    task, count = task_of(datasets), spec["train"]
    return Task(task.train_inputs[:count], task.train_targets[:count], task.test_inputs, task.test_targets)


def cell_network(datasets: Datasets, spec: Spec) -> Network:
    """The network of the cell with its learning-rate tensor, of the role ``learning_rate``."""
    network = network_of(spec, datasets, single(datasets, "inputs").sizes["output"])
    rates = single(datasets, "learning_rate")
    return with_rates(network, rates["layer_lambda_b"].values, rates["layer_lambda_W"].values)


def with_rates(network: Network, lambda_b: NDArray[np.float64], lambda_W: NDArray[np.float64]) -> Network:
    """The network with another learning-rate tensor, by layer."""
    return replace(network, lambda_b=tuple(lambda_b), lambda_W=tuple(lambda_W))


def cell_method(datasets: Datasets, spec: Spec, members: int = 2) -> TrainingSpec:
    """How the networks of the cell are trained."""
    known = {field.name for field in fields(TrainingSpec)}
    settings = {name: value for name, value in spec["training"].items() if name in known}
    rate = float(single(datasets, "learning_rate")["learning_rate"])
    return TrainingSpec(**{**settings, "members": members, "learning_rate": rate})
