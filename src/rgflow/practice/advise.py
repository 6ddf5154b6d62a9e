"""``rgflow.advise``: what theory says of a user's own module, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.practice.advice import Advice
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain, Point
from rgflow.practice.choice import Choice, choose, input_scale
from rgflow.practice.initialize import chain_of, choices, effective, initialize_, measured
from rgflow.practice.predict import INITIALIZATIONS, predict
from rgflow.practice.reading import Layer, Reading, read
from rgflow.practice.units import Training
from rgflow.practice.verdicts import last_kappa
from rgflow.theory.criticality.critical import NONE, critical
from rgflow.theory.depth.information import optimal_aspect_ratio, vertex_growth
from rgflow.variables.library import document

Array = NDArray[np.float64]

MAX_INPUTS = 512
"""Inputs that advice is about: more are left out."""

_PLAN_CORRELATION = 0.9  # of the two inputs that stand in for data


@checked
def advise(
    model: nn.Module | str | Activation | Callable[..., Any],
    inputs: Any = None,
    targets: Any = None,
    *,
    widths: Sequence[int] | None = None,
    loss: str = "mse",
    reduction: str = "mean",
    optimizer: str = "sgd",
    momentum: float = 0.0,
) -> Advice:
    """Advice on initialization, learning rates, depth and width of a module, from the effective theory of wide networks.

    Parameters
    ----------
    model
        A ``torch.nn.Module``, which is read and not changed; or an activation, with `widths`, for a plan.
    inputs
        Batch (N, ...) that the module takes; of more than 512 the first are used. Two inputs with x.x/n_0 = 1 and correlation
        0.9 stand in for it in a plan.
    targets
        Class numbers (N,), or real numbers (N,) or (N, n_L); they give losses and what is learned first.
    widths
        (n_0, ..., n_L) of a plan.
    loss, reduction, optimizer, momentum
        See :class:`rgflow.practice.units.Training`: "mse" or "cross_entropy", "mean" or "sum", "sgd" or "adam".

    Raises
    ------
    UnsupportedModel
        A module that cannot be read, see :func:`rgflow.practice.reading.read`.
    RgflowError
        Inputs or targets that do not fit, an unknown setting.

    Examples
    --------
    >>> import rgflow
    >>> print(rgflow.advise("gelu", widths=[784, 256, 256, 10]).dataset["layer_C_W"].sel(initialization="critical").values)
    [1.98305827 1.98305827 1.98305827]
    """
    training = Training(loss, reduction, optimizer, momentum)
    if widths is not None:
        return _plan(find_activation(model), tuple(widths), inputs, targets, training)
    if not isinstance(model, nn.Module):
        raise RgflowError(f"model = {model!r}; a torch module is needed, or an activation and widths=[n_0, ..., n_L]")
    reading = read(model)
    wanted = choices(reading)
    now = tuple(measured(layer) for layer in reading.layers)
    if not reading.is_chain:
        whole = None if inputs is None else Batch.unread(_raw(inputs))
        return Advice(_initialization_only(reading, now, wanted), reading, None, wanted, whole, training)
    if inputs is None:
        raise RgflowError("inputs are needed: a batch that the module takes")
    chain = chain_of(reading)
    batch = _batch(_first_inputs(reading, _rows(inputs)), targets, _raw(inputs), chain, training)
    points = [effective(reading.layers, chosen) for chosen in (now, wanted)]
    trained = _trained(reading.layers)
    paths = [layer.path for layer in reading.layers]
    return Advice(_predicted(chain, points, batch, training, trained, paths), reading, chain, wanted, batch, training)


@checked
def critical_(model: nn.Module, inputs: Any = None, generator: torch.Generator | None = None) -> nn.Module:
    """Give a module the critical initialization of its activations, in place, without the rest of the advice.

    Parameters
    ----------
    model
        A ``torch.nn.Module``; Linear layers behind an activation that is not known are left as they are.
    inputs
        A batch, to check that the module takes it before anything is written.
    generator
        Of torch, on the device of the parameters.

    Returns
    -------
    The module.

    Raises
    ------
    UnsupportedModel, RgflowError
        As :func:`advise`; then nothing was written.
    """
    reading = read(model)
    wanted = choices(reading)
    if inputs is not None and reading.is_chain:
        _first_inputs(reading, _rows(inputs))
    return initialize_(reading, wanted, generator)


def _plan(sigma: Activation, sizes: tuple[int, ...], inputs: Any, targets: Any, training: Training) -> Advice:
    """Advice on a chain that is not built yet; "now" is torch's own initialization of a Linear."""
    depth = len(sizes) - 1
    if depth < 1 or min(sizes) < 1:
        raise RgflowError(f"widths = {sizes}; at least (n_0, n_1) is needed, all positive")
    chain = Chain(sizes, (sigma,) * (depth - 1), (0.0,) * depth, (True,) * depth)
    wanted = (choose(sigma),) * depth
    torch_own = Point(tuple(1.0 / (3.0 * n) for n in sizes[:-1]), (1.0 / 3.0,) * depth)
    critical_point = Point(tuple(c.C_b for c in wanted), tuple(c.C_W for c in wanted))
    x = _stand_in(sizes[0]) if inputs is None else _rows(inputs)
    batch = _batch(x, targets, x, chain, training)
    names = [f"layer {layer}" for layer in range(1, depth + 1)]
    trained = np.ones((2, depth))
    dataset = _predicted(chain, [torch_own, critical_point], batch, training, trained, names)
    return Advice(dataset, None, chain, wanted, batch, training)


def _stand_in(n_0: int) -> Array:
    """Two inputs with x.x/n_0 = 1 and correlation 0.9, or one if they have a single feature."""
    if n_0 == 1:
        return np.ones((1, 1))
    x = np.zeros((2, n_0))
    x[0, 0], x[1, 0], x[1, 1] = 1.0, _PLAN_CORRELATION, math.sqrt(1.0 - _PLAN_CORRELATION**2)
    return math.sqrt(n_0) * x


def _trained(layers: Sequence[Layer]) -> Array:
    """1 for biases and weights that are trained, (2, layer)."""
    parameters = [(layer.module.bias, layer.module.weight) for layer in layers]
    return np.array(
        [[float(p is not None and p.requires_grad) for p in kind] for kind in zip(*parameters, strict=True)]
    )


def _predicted(
    chain: Chain, points: Sequence[Point], batch: Batch, training: Training, trained: Array, paths: Sequence[str]
) -> xr.Dataset:
    """Both initializations side by side, with what belongs to neither."""
    found = [predict(chain, point, batch, training, trained) for point in points]
    dataset = xr.concat(
        found, xr.Variable("initialization", list(INITIALIZATIONS)), data_vars="all", join="outer", combine_attrs="drop"
    )
    nu = _growth(chain, found[1])
    behind = [*(sigma.label for sigma in chain.activations), ""]
    scale = math.nan
    kinds = set(chain.activations)
    if len(kinds) == 1:
        point = critical(next(iter(kinds)))
        scale = input_scale(point, batch.mean_square) if point.universality_class != NONE else math.nan
    dataset = dataset.assign(
        aspect_ratio=chain.depth * chain.inverse_width,
        optimal_aspect_ratio=optimal_aspect_ratio(nu, chain.widths[-1]) if nu > 0.0 else math.nan,
        input_scale=scale,
    ).assign_coords(
        path=("layer", list(paths)),
        n_in=("layer", list(chain.widths[:-1])),
        n_out=("layer", list(chain.widths[1:])),
        activation=("layer", behind),
    )
    remarks = {
        f"{name}_remark": data.attrs.get("remark", "") for name, data in zip(INITIALIZATIONS, found, strict=True)
    }
    return document(dataset).assign_attrs(remarks)


def _growth(chain: Chain, best: xr.Dataset) -> float:
    """Growth nu of V/K^2 per layer: the law of the activation, or where there is none what the recursion has on average."""
    kinds = set(chain.activations)
    if len(kinds) == 1 and chain.is_plain:
        try:
            return vertex_growth(next(iter(kinds)))
        except RgflowError:
            pass
    ratio = chain.depth * chain.inverse_width
    return last_kappa(best) / ratio if ratio else math.nan


def _initialization_only(reading: Reading, now: Sequence[Choice], wanted: Sequence[Choice | None]) -> xr.Dataset:
    """C_b and C_W of a module that is no chain."""
    pairs = (now, wanted)
    columns = {
        "layer_C_b": [[math.nan if c is None else c.C_b for c in column] for column in pairs],
        "layer_C_W": [[math.nan if c is None else c.C_W for c in column] for column in pairs],
    }
    layers = reading.layers
    coordinates = {
        "initialization": list(INITIALIZATIONS),
        "layer": np.arange(1, len(layers) + 1),
        "path": ("layer", [layer.path for layer in layers]),
        "n_in": ("layer", [layer.module.in_features for layer in layers]),
        "n_out": ("layer", [layer.module.out_features for layer in layers]),
        "activation": ("layer", [layer.behind.label if layer.behind else "" for layer in layers]),
    }
    variables = {name: (("initialization", "layer"), np.array(values)) for name, values in columns.items()}
    return document(xr.Dataset(variables, coordinates))


def _raw(inputs: Any) -> NDArray[Any]:
    """A batch as the user gave it, at most `MAX_INPUTS` rows; numbers in half precision become single."""
    try:
        if isinstance(inputs, torch.Tensor):
            inputs = inputs.detach().cpu()
            inputs = (inputs.float() if inputs.dtype in (torch.bfloat16, torch.float16) else inputs).numpy()
        x = np.asarray(inputs)
        x.astype(np.float64)
    except (TypeError, ValueError):
        raise RgflowError("inputs are not numbers; a tensor or array (N, ...) is needed") from None
    if x.ndim < 1 or not x.size:
        raise RgflowError(f"inputs have shape {x.shape}; a batch (N, ...) is needed")
    return x[:MAX_INPUTS]


def _rows(inputs: Any) -> Array:
    """The same as finite float64."""
    x = _raw(inputs).astype(np.float64)
    if not np.isfinite(x).all():
        raise RgflowError(f"inputs[{', '.join(map(str, np.argwhere(~np.isfinite(x))[0]))}] is not finite")
    return x


def _first_inputs(reading: Reading, rows: Array) -> Array:
    """What the first Linear gets of a batch, (N, n_0)."""
    assert reading.front is not None
    x = torch.as_tensor(rows)
    first = reading.layers[0]
    try:
        with torch.no_grad():
            entered = reading.front(x).double().cpu().numpy()
    except Exception as error:  # whatever the user's own operations raise
        raise RgflowError(f"inputs of shape {tuple(x.shape)} do not pass to {first.path}: {error}") from None
    if entered.ndim != 2 or entered.shape[1] != first.module.in_features:
        raise RgflowError(
            f"inputs reach {first.path or 'model'} (Linear) with shape {entered.shape}; (N, {first.module.in_features}) is needed"
        )
    return np.asarray(entered)


def _batch(x: Array, targets: Any, raw: Array, chain: Chain, training: Training) -> Batch:
    if x.ndim != 2 or x.shape[1] != chain.widths[0]:
        raise RgflowError(f"inputs have shape {x.shape}; (N, {chain.widths[0]}) is needed")
    if not x.any():
        raise RgflowError("inputs are all 0")
    return Batch(x, None if targets is None else _targets(targets, len(x), chain.widths[-1], training), raw)


def _targets(targets: Any, count: int, outputs: int, training: Training) -> Array:
    """Targets (N, n_L): class numbers become ones and zeros."""
    y = targets.detach().cpu().numpy() if isinstance(targets, torch.Tensor) else np.asarray(targets)
    y = y[:MAX_INPUTS]
    if len(y) != count:
        raise RgflowError(f"targets have {len(y)} rows, inputs {count}")
    if y.ndim == 1 and np.issubdtype(y.dtype, np.integer) and (outputs > 1 or training.loss == "cross_entropy"):
        if not (y.min() >= 0 and y.max() < outputs):
            raise RgflowError(f"targets are classes {y.min()} to {y.max()}; the module has {outputs} outputs")
        return np.asarray(np.eye(outputs)[y])
    y = y.reshape(count, -1).astype(np.float64)
    if y.shape[1] != outputs or not np.isfinite(y).all():
        raise RgflowError(f"targets have shape {y.shape}; finite numbers ({count}, {outputs}) or classes are needed")
    return y
