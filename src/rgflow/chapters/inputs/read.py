"""From the stored inputs to what theory and experiment take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rgflow.study.gather import single
from rgflow.task import Task

if TYPE_CHECKING:
    from rgflow.study.stage import Datasets


def probes_of(datasets: Datasets) -> np.ndarray:
    """Inputs (sample, feature) used at initialization, of the role ``inputs``."""
    inputs = single(datasets, "inputs")
    return np.asarray(inputs["x"].values[inputs["probe"].values])


def task_of(datasets: Datasets) -> Task:
    """The learning task: training and test inputs with their targets, of the role ``inputs``."""
    inputs = single(datasets, "inputs")
    train = inputs["role"].values == "train"
    x, y = inputs["x"].values, inputs["y"].values
    return Task(x[train], y[train], x[~train], y[~train])
