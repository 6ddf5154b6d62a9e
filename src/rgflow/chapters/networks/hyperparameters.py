"""Stage ``theory/hyperparameters``: initialization variances and learning rates of every layer.

A stage of its own, so that an edit of the theory of criticality that leaves these numbers as they were leaves the ensembles
alone: everything downstream takes its networks from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.chapters.networks.architecture import architecture_from
from rgflow.theory.criticality.critical import critical
from rgflow.theory.depth.asymptotics import equivalence_learning_rates

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_DIGITS = 12  # kept, so that the last bits of the theory of criticality do not reach the ensembles


def run(_datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """``C_b``, ``C_W``, ``lambda_b``, ``lambda_W`` on ``layer`` 1..L; of a residual network also ``xi_1``, ``xi_2``."""
    import xarray as xr

    sigma = activation(spec["activation"]["name"], **spec["activation"]["parameters"])
    layers = np.arange(1, spec["depth"] + 1)
    strengths = spec["networks"]["residual"] or {}
    C_b, C_W = _scales(sigma, spec["init"], strengths, spec["depth"])
    scales = {"layer_C_b": _rounded(C_b, len(layers)), "layer_C_W": _rounded(C_W, len(layers))}
    values = scales | layer_learning_rates(sigma, spec["networks"]["learning_rates"], spec["depth"])
    return xr.Dataset({name: ("layer", value) for name, value in values.items()} | strengths, {"layer": layers})


def _scales(sigma: Activation, initialization: Any, strengths: dict[str, float], depth: int) -> tuple[Any, Any]:
    """C_b and C_W, of all layers or one by one: the first layer of a residual network is plain."""
    if initialization != "critical":
        return initialization["C_b"], initialization["C_W"]
    point = critical(sigma)
    if not strengths:
        return point.C_b, point.C_W
    beyond = point.of(architecture_from(strengths))
    C_b, C_W = ([first, *[later] * (depth - 1)] for first, later in ((point.C_b, beyond.C_b), (point.C_W, beyond.C_W)))
    return C_b, C_W


def layer_learning_rates(sigma: Activation, choice: Any, depth: int) -> dict[str, np.ndarray]:
    """``layer_lambda_b`` and ``layer_lambda_W`` of layers 1..L for a choice of the configuration."""
    if choice == "equivalence":
        lambda_b, lambda_W = equivalence_learning_rates(sigma, depth, 1.0, 1.0)
    else:
        lambda_b, lambda_W = choice["lambda_b"], choice["lambda_W"]
    return {"layer_lambda_b": _rounded(lambda_b, depth), "layer_lambda_W": _rounded(lambda_W, depth)}


def _rounded(value: Any, count: int) -> np.ndarray:
    return np.array([float(f"{entry:.{_DIGITS}g}") for entry in np.broadcast_to(value, count)])
