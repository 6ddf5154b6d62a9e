"""From specs and stored inputs to the values that theory and experiment take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.activations.registry import activation
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.asymptotics import equivalence_learning_rates
from rgflow.theory.criticality import critical

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Spec


def network_of(spec: Spec, inputs: xr.Dataset, outputs: int) -> Network:
    """The network of a spec; without a ``width`` (theory) all hidden widths are equal, which is all that matters."""
    choice: dict[str, Any] = spec["network"]
    act = activation(choice["activation"]["name"], **choice["activation"]["parameters"])
    depth, width = choice["depth"], choice.get("width", 1)
    widths = (inputs.sizes["feature"], *(width,) * (depth - 1), outputs)
    C_b, C_W = _scales(act, choice["initialization"])
    lambda_b, lambda_W = _learning_rates(act, choice["learning_rates"], depth)
    return Network(act, widths, C_b, C_W, lambda_b, lambda_W)


def probes_of(inputs: xr.Dataset) -> np.ndarray:
    """Inputs (sample, feature) used at initialization."""
    return np.asarray(inputs["x"].values[inputs["probe"].values])


def task_of(inputs: xr.Dataset) -> Task:
    """The learning task: training and test inputs with their targets."""
    train = inputs["role"].values == "train"
    x, y = inputs["x"].values, inputs["y"].values
    return Task(x[train], y[train], x[~train], y[~train])


def recorded_steps(steps: int, records: int) -> tuple[int, ...]:
    """Step numbers from 0 to ``steps``, spaced logarithmically, about ``records`` of them."""
    spaced = np.geomspace(1, steps, max(records - 1, 1)).round().astype(int)
    return tuple(int(step) for step in np.unique([0, *spaced, steps]))


def _scales(act: Any, initialization: Any) -> tuple[float, float]:
    if initialization == "critical":
        point = critical(act)
        return point.C_b, point.C_W
    return initialization["C_b"], initialization["C_W"]


def _learning_rates(act: Any, choice: Any, depth: int) -> tuple[Any, Any]:
    if choice == "equivalence":
        return equivalence_learning_rates(act, depth, 1.0, 1.0)
    return choice["lambda_b"], choice["lambda_W"]


def over_widths(datasets: list[xr.Dataset], widths: list[int]) -> xr.Dataset:
    """One dataset along ``width`` from those of the single widths."""
    import xarray as xr

    return xr.concat(
        [dataset.expand_dims(width=[width]) for dataset, width in zip(datasets, widths, strict=True)], "width"
    )
