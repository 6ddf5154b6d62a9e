"""How people initialize a chain, and what theory says of each way.

Compared are torch's own initialization of a Linear, that of ``calculate_gain`` (Kaiming; where torch knows no gain, that of ReLU,
as people use it), Xavier's, the rule of AnyInit 0.4 computed here, and the critical one: the last with one learning rate for all
parameters like the others, and with ``parameter_groups``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import brentq

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain, Point
from rgflow.practice.choice import choose
from rgflow.practice.predict import predict
from rgflow.practice.rates import common_rates
from rgflow.practice.units import Training
from rgflow.task import Task
from rgflow.theory.criticality.susceptibility import mean_square

Array = NDArray[np.float64]

RECIPES = ("torch", "gain", "xavier", "anyinit", "critical", "groups")
"""Initializations, all with one learning rate; "groups" is critical with the learning-rate tensor."""

_TRAINING = Training("mse", "mean")
_LARGEST_LOG = math.log(1e6)  # of preactivation variances searched


def recipes(task: Task, chain: Chain) -> xr.Dataset:
    """What theory says of a chain that learns a task, for every recipe.

    Parameters
    ----------
    task
        Its train inputs are the batch.
    chain
        With one activation.

    Returns
    -------
    Dataset on ``recipe``. By layer ``layer_C_b``, ``layer_C_W``, ``layer_lambda_b``, ``layer_lambda_W``, ``correlation``
    (mean over pairs of inputs), ``signal_K`` (mean over inputs), ``kappa``; of the whole ``signal_Theta``, the NTK of the
    outputs with all rates 1, and ``safe_rate`` of torch. Where the kernel overflows, nan.
    """
    batch = Batch(task.train_inputs, None, task.train_inputs)
    found = [_signals(chain, recipe, batch) for recipe in RECIPES]
    return xr.concat(found, xr.Variable("recipe", list(RECIPES)))


def initialization(chain: Chain, recipe: str) -> Point:
    """Variances of a recipe for a chain with one activation; Xavier's C_W is 2 n_in/(n_in + n_out)."""
    (sigma,) = set(chain.activations)
    fan_in, fan_out, L = chain.widths[:-1], chain.widths[1:], chain.depth
    nothing = (0.0,) * L
    if recipe == "torch":
        return Point(tuple(1.0 / (3.0 * n) for n in fan_in), (1.0 / 3.0,) * L)
    if recipe == "gain":
        return Point(nothing, (gain(sigma) ** 2,) * L)
    if recipe == "xavier":
        return Point(nothing, tuple(2.0 * n / (n + m) for n, m in zip(fan_in, fan_out, strict=True)))
    if recipe == "anyinit":
        kernel, kept = kept_variance(sigma)
        return Point(nothing, (kernel, *(kernel / kept,) * (L - 2), 1.0))
    choice = choose(sigma)
    return Point((choice.C_b,) * L, (choice.C_W,) * L)


def gain(sigma: Activation) -> float:
    """Torch's gain of an activation, and that of ReLU for those it knows none of."""
    try:
        return torch.nn.init.calculate_gain(sigma.name, sigma.parameters.get("slope"))  # type: ignore[arg-type]
    except ValueError:
        return torch.nn.init.calculate_gain("relu")


def kept_variance(sigma: Activation) -> tuple[float, float]:
    """(K, T): the variance K of preactivations with <sigma^2>_K = T that AnyInit keeps from layer to layer.

    T is 1, or 1/2 where sigma^2 never exceeds 1. Inputs have mean square 1, so hidden layers have C_W = K/T, the first K, and the
    last, with no activation behind it, 1.

    Raises
    ------
    RgflowError
        No K gives that T.
    """
    saturated = max(float(sigma(sign * math.exp(_LARGEST_LOG))) ** 2 for sign in (-1.0, 1.0)) <= 1.0
    target = 0.5 if saturated else 1.0

    def excess(log_kernel: float) -> float:
        return float(mean_square(sigma, 0, math.exp(log_kernel))) - target

    if not excess(-_LARGEST_LOG) < 0.0 < excess(_LARGEST_LOG):
        raise RgflowError(f"{sigma.label}: no variance K has <sigma^2>_K = {target:g}, which the recipe anyinit keeps")
    return math.exp(brentq(excess, -_LARGEST_LOG, _LARGEST_LOG, xtol=1e-12)), target


def _signals(chain: Chain, recipe: str, batch: Batch) -> xr.Dataset:
    trained = np.ones((2, chain.depth))
    data = predict(chain, initialization(chain, recipe), batch, _TRAINING, trained)
    if recipe != "groups":
        common = common_rates(chain, trained)
        data = data.assign({f"layer_lambda_{kind}": ("layer", common[at]) for at, kind in enumerate("bW")})
    kept = data[[f"layer_{name}" for name in ("C_b", "C_W", "lambda_b", "lambda_W")]]
    return kept.assign(_numbers(data, "tensor" if recipe == "groups" else "torch")).drop_attrs()


def _numbers(data: xr.Dataset, rates: str) -> dict[str, Any]:
    """The numbers of a recipe with its rates; nan if the kernel overflows."""
    if "K" not in data:
        unknown = ("layer", np.full(data.sizes["layer"], np.nan))
        return {
            "signal_K": unknown,
            "correlation": unknown,
            "kappa": unknown,
            "signal_Theta": np.nan,
            "safe_rate": np.nan,
        }
    return {
        "signal_K": ("layer", _mean_diagonal(data["K"])),
        "correlation": ("layer", data["correlation"].values),
        "kappa": ("layer", data["kappa"].values),
        "signal_Theta": float(_mean_diagonal(data["Theta_output"].sel(rates="unit"))),
        "safe_rate": float(data["safe_rate"].sel(rates=rates)),
    }


def _mean_diagonal(matrices: xr.DataArray) -> Array:
    return np.asarray(np.einsum("...aa->...", matrices.values) / matrices.shape[-1])
