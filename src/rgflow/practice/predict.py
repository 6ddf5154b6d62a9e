"""All numbers of an advice about one initialization of a chain, as a dataset."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain, Flow, Point, flow
from rgflow.practice.learning import learning
from rgflow.practice.rates import RATES, common_rates, rate_tensor
from rgflow.practice.units import Training
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.initialization.tensors import initialization_theory

Array = NDArray[np.float64]

SHOWN = 64  # inputs whose matrices are kept
INITIALIZATIONS = ("now", "critical")
_ONE_INPUT = {"kappa": "V", "metric_shift": "G1", "ntk_variance": "A", "ntk_shift": "Theta1"}


def predict(chain: Chain, point: Point, batch: Batch, training: Training, trained: Array) -> xr.Dataset:
    """What theory says of one initialization.

    Parameters
    ----------
    chain, point
        The layers and their variances.
    batch
        The user's inputs and targets.
    training
        Loss and optimizer.
    trained
        As for `rates.rate_tensor`.

    Returns
    -------
    Dataset with the registered names; what could not be had is nan, and attribute ``remark`` says why.
    """
    rates = {
        "unit": trained,
        "torch": common_rates(chain, trained),
        "tensor": rate_tensor(chain, trained),
    }
    fixed = _fixed(chain, point, rates["tensor"])
    try:
        found = flow(chain, point, batch.gram)
    except RgflowError as error:
        return fixed.assign_attrs(remark=str(error))
    return (
        fixed.merge(_infinite_width(found, rates))
        .merge(_finite_width(chain, point, batch, rates["tensor"]))
        .merge(learning(chain, point, found, rates, batch, training))
    )


def _fixed(chain: Chain, point: Point, tensor: Array) -> xr.Dataset:
    per_layer = {
        "layer_C_b": point.C_b,
        "layer_C_W": point.C_W,
        "layer_lambda_b": tensor[0],
        "layer_lambda_W": tensor[1],
    }
    variables = {name: ("layer", np.array(values)) for name, values in per_layer.items()}
    return xr.Dataset(variables, {"layer": np.arange(1, chain.depth + 1)})


def _infinite_width(found: Flow, rates: dict[str, Array]) -> xr.Dataset:
    matrix, few = ("layer", "sample_1", "sample_2"), np.s_[:, :SHOWN, :SHOWN]
    parts = np.stack([found.contributions(*rates[kind]) for kind in RATES])
    mean = np.einsum("rlaa->rl", parts) / parts.shape[-1]
    with np.errstate(invalid="ignore"):  # nothing trained
        share = mean / mean.sum(axis=1, keepdims=True)
    return xr.Dataset(
        {
            "K": (matrix, found.K[few]),
            "Theta": (matrix, _layer_ntk(found, *rates["tensor"])[few]),
            "Theta_output": (("rates", "sample_1", "sample_2"), parts.sum(axis=1)[few]),
            "ntk_share": (("rates", "layer"), share),
            "layer_chi_parallel": ("layer", found.chi_parallel),
            "layer_chi_perp": ("layer", found.chi_perp),
            "correlation": ("layer", found.correlation),
            "quadrature_error": ("layer", found.error),
        },
        {"rates": list(RATES)},
    )


def _layer_ntk(found: Flow, lambda_b: Array, lambda_W: Array) -> Array:
    """Theta^(l) of every layer: own part, and the layer's below times the step between."""
    own = lambda_b[:, None, None] + lambda_W[:, None, None] * found.signal
    Theta = [own[0]]
    for layer in range(1, len(own)):
        Theta.append(own[layer] + found.steps[layer - 1] * Theta[-1])
    return np.stack(Theta)


def _finite_width(chain: Chain, point: Point, batch: Batch, tensor: Array) -> xr.Dataset:
    """Order 1/n of one input of the batch's mean square, nan where theory does not have it."""
    one = _one_input(chain, point, batch.mean_square, tensor)
    n = np.array(chain.widths[:-1], dtype=np.float64)
    scale = {"V": one["K"] ** 2, "G1": one["K"], "A": one["Theta"] ** 2, "Theta1": one["Theta"]}
    with np.errstate(divide="ignore", invalid="ignore"):  # K = 0 or nothing trained
        return xr.Dataset({name: ("layer", one[of] / (n * scale[of])) for name, of in _ONE_INPUT.items()})


def _one_input(chain: Chain, point: Point, mean_square: float, tensor: Array) -> dict[str, Array]:
    """K, G1, V, Theta, Theta1, A of one input, (layer,): all of a plain chain; K, G1, V of a trunk with skip connections."""
    unknown = {name: np.full(chain.depth, np.nan) for name in ("K", "Theta", *_ONE_INPUT.values())}
    if chain.is_plain and min(point.C_W) > 0.0:
        return single_input_theory(chain.network(point, *tensor), mean_square)
    trunk = chain.residual_network(point)
    if trunk is None:
        return unknown
    x = np.sqrt(mean_square) * np.ones((1, chain.widths[0]))
    found = initialization_theory(trunk, x, ("K", "G1", "V"))
    for name in ("K", "G1", "V"):
        unknown[name][: trunk.depth] = found[name].values.reshape(trunk.depth)
    return unknown
