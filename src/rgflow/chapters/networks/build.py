"""From specs and stored hyperparameters to networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rgflow.activations.registry import activation
from rgflow.network import Network
from rgflow.study.gather import single

if TYPE_CHECKING:
    from rgflow.study.stage import Datasets, Spec


def network_of(spec: Spec, datasets: Datasets, outputs: int) -> Network:
    """The network of a spec, with the hyperparameters of its layers from the roles ``hyperparameters`` and ``inputs``.

    Without a ``width`` (theory) all hidden widths are equal, which is all that matters. A residual network has as many
    outputs as hidden neurons.
    """
    inputs, layers = single(datasets, "inputs"), single(datasets, "hyperparameters")
    sigma = activation(spec["activation"]["name"], **spec["activation"]["parameters"])
    names = ("C_b", "C_W", "lambda_b", "lambda_W")
    parameters: dict[str, Any] = {name: layers[f"layer_{name}"].values for name in names}
    strengths = {name: float(layers[name]) for name in ("xi_1", "xi_2") if name in layers}
    hidden = (spec.get("width", 1),) * (layers.sizes["layer"] - 1)
    widths = (inputs.sizes["feature"], *hidden, hidden[-1] if strengths else outputs)
    return Network(sigma, widths, **parameters, **strengths)
