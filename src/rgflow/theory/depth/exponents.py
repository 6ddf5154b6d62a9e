"""Measured against predicted universality: power laws fitted to the single-input recursions at large depth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.critical import HALF_STABLE, Criticality, critical
from rgflow.theory.criticality.susceptibility import chi_parallel, chi_perp
from rgflow.theory.depth.asymptotics import DepthLaw, equivalence_learning_rates, predicted_laws
from rgflow.theory.depth.single_input import single_input_theory

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_SHOWN_LAYERS = 60  # of the flow, spaced logarithmically

_RATIOS = ("V/K^2", "G1/K", "F/(K Theta)", "B/Theta^2", "D/(K Theta)", "A/Theta^2")


def critical_network(
    activation: str | Activation | Criticality, depth: int, lambda_b: float = 1.0, lambda_W: float = 1.0
) -> Network:
    """Critical network of equal widths with the equivalence learning rates.

    Raises
    ------
    RgflowError
        Activation without a critical point, or `depth` < 1.
    """
    rates = equivalence_learning_rates(activation, depth, lambda_b, lambda_W)
    point = activation if isinstance(activation, Criticality) else critical(activation)
    return Network(point.activation, (1,) * (depth + 1), point.C_b, point.C_W, *rates)


def deep_flow(
    activation: str | Activation | Criticality, depth: int, lambda_b: float = 1.0, lambda_W: float = 1.0, K: float = 1.0
) -> dict[str, Array]:
    """Single-input theory at criticality, with the names and learning rates of `asymptotics.predicted_laws`.

    Parameters
    ----------
    activation
        Activation, name of a registered one, or its critical point.
    depth, lambda_b, lambda_W
        As for `asymptotics.equivalence_learning_rates`.
    K
        Kernel of layer 1; half-stable activations start at K* instead.

    Returns
    -------
    Arrays of shape (depth,): "K", "K1", "K2", "Theta" and the dimensionless ratios of `_RATIOS`. K1 and K2 start at 1 in
    layer 1, and K2 is that of two inputs of equal norm (no source K1^2).

    Raises
    ------
    RgflowError
        Activation without a critical point, or `depth` < 1.
    """
    network = critical_network(activation, depth, lambda_b, lambda_W)
    point = activation if isinstance(activation, Criticality) else critical(activation)
    start = point.K_star if point.universality_class == HALF_STABLE else K
    flow = single_input_theory(network, (start - point.C_b) / point.C_W)
    flow |= {
        "K1": _decay(chi_parallel(network.activation, point.C_W, flow["K"][:-1])),
        "K2": _decay(chi_perp(network.activation, point.C_W, flow["K"][:-1])),
    }
    ratios = {name: _ratio(flow, name) for name in _RATIOS}
    return {name: flow[name] for name in ("K", "K1", "K2", "Theta")} | ratios


def fit_depth_law(values: ArrayLike) -> DepthLaw:
    """Power law of values at layers 1..L, fitted beyond layer L/8 with corrections ln(l)/l and 1/l.

    Parameters
    ----------
    values
        Array of shape (L,), L >= 64, of one sign beyond layer L/8, or zero throughout (to 1e-12).

    Returns
    -------
    The law; coefficient 0 and exponent nan if the values vanish, nan for both if they change sign.

    Raises
    ------
    RgflowError
        Fewer than 64 layers.
    """
    y = np.asarray(values, dtype=np.float64)
    if len(y) < 64:
        raise RgflowError(f"{len(y)} layers; a fit of the large-depth behaviour needs at least 64")
    if np.all(np.abs(y) < 1e-12):
        return DepthLaw(0.0, math.nan)
    tail = y[len(y) // 8 :]
    if np.any(np.sign(tail) != np.sign(tail[-1])):
        return DepthLaw(math.nan, math.nan)
    layer = np.arange(len(y) // 8 + 1.0, len(y) + 1.0)
    log = np.log(layer)
    basis = np.stack([np.ones_like(layer), log, log / layer, 1 / layer], axis=1)
    fit = np.linalg.lstsq(basis, np.log(np.abs(tail)), rcond=None)[0]
    return DepthLaw(float(np.sign(tail[-1]) * np.exp(fit[0])), float(fit[1]), float(fit[2]))


def exponent_table(
    activation: str | Activation | Criticality, depth: int = 2000, lambda_b: float = 1.0, lambda_W: float = 1.0
) -> xr.Dataset:
    """Fitted next to predicted power laws of one activation at criticality, and the flow that they describe.

    Parameters
    ----------
    activation
        Activation, name of a registered one, or its critical point.
    depth, lambda_b, lambda_W
        Depth of the recursion, and the rates of `asymptotics.equivalence_learning_rates`.

    Returns
    -------
    Dataset with `coefficient` and `exponent` on (quantity, source), source "predicted" or "fitted", and on
    (quantity, layer), at layers spaced logarithmically, `flow` (see `deep_flow`) and `flow_predicted`: the predicted law
    with its logarithm, through the last layer where it leaves the coefficient open.

    Raises
    ------
    RgflowError
        Activation without a critical point or without power laws, or `depth` < 64.
    """
    import xarray as xr

    predicted = predicted_laws(activation, depth, lambda_b, lambda_W)
    flow = deep_flow(activation, depth, lambda_b, lambda_W)
    laws = [(predicted[name], fit_depth_law(flow[name])) for name in predicted]
    layer = np.unique(np.geomspace(1, depth, _SHOWN_LAYERS).round().astype(int))
    return xr.Dataset(
        {
            "coefficient": (("quantity", "source"), [[law.coefficient for law in pair] for pair in laws]),
            "exponent": (("quantity", "source"), [[law.exponent for law in pair] for pair in laws]),
            "flow": (("quantity", "layer"), [flow[name][layer - 1] for name in predicted]),
            "flow_predicted": (
                ("quantity", "layer"),
                [_through(law, flow[name])(layer) for name, law in predicted.items()],
            ),
        },
        coords={"quantity": list(predicted), "source": ["predicted", "fitted"], "layer": layer},
        attrs={"activation": _label(activation), "depth": depth},
    )


def _through(law: DepthLaw, values: Array) -> DepthLaw:
    """The law itself, or, if its coefficient is open, the one that meets the last of the values."""
    if math.isfinite(law.coefficient):
        return law
    depth = len(values)
    return replace(law, coefficient=float(values[-1] / replace(law, coefficient=1.0)(depth)))


def _decay(chi: Array) -> Array:
    """Product of the susceptibilities of all earlier layers."""
    return np.concatenate([[1.0], np.cumprod(chi)])


def _ratio(flow: dict[str, Array], name: str) -> Array:
    tensor, scale = name.split("/")
    K, Theta = flow["K"], flow["Theta"]
    return flow[tensor] / {"K^2": K**2, "K": K, "(K Theta)": K * Theta, "Theta^2": Theta**2}[scale]


def _label(activation: str | Activation | Criticality) -> str:
    point = activation if isinstance(activation, Criticality) else critical(activation)
    return point.activation.label
