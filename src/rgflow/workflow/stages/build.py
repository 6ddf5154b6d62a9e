"""From specs and stored inputs to the values that theory and experiment take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.activations.registry import activation
from rgflow.network import Network
from rgflow.task import Task

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.workflow.stage import Datasets, Spec


def network_of(spec: Spec, datasets: Datasets, outputs: int) -> Network:
    """The network of a spec, with the hyperparameters of its layers from the datasets ``hyperparameters`` and ``inputs``.

    Without a ``width`` (theory) all hidden widths are equal, which is all that matters. A residual network has as many
    outputs as hidden neurons.
    """
    (inputs,), (layers,) = datasets["inputs"], datasets["hyperparameters"]
    sigma = activation(spec["activation"]["name"], **spec["activation"]["parameters"])
    names = ("C_b", "C_W", "lambda_b", "lambda_W")
    parameters: dict[str, Any] = {name: layers[f"layer_{name}"].values for name in names}
    strengths = {name: float(layers[name]) for name in ("xi_1", "xi_2") if name in layers}
    hidden = (spec.get("width", 1),) * (layers.sizes["layer"] - 1)
    widths = (inputs.sizes["feature"], *hidden, hidden[-1] if strengths else outputs)
    return Network(sigma, widths, **parameters, **strengths)


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


def over_widths(datasets: list[xr.Dataset], widths: list[int]) -> xr.Dataset:
    """One dataset along ``width`` from those of the single widths."""
    import xarray as xr

    return xr.concat(
        [dataset.expand_dims(width=[width]) for dataset, width in zip(datasets, widths, strict=True)], "width"
    )
