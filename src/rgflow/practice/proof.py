"""What initializations are worth: signals of deep chains by theory, and losses after training over many seeds.

Compared are torch's own initialization of a Linear, that of ``calculate_gain`` (Kaiming; where torch knows no gain, that of ReLU,
as people use it), Xavier's, and the critical one; the last with one learning rate for all parameters like the others, and with
``parameter_groups``. All get the same multiples of their own largest safe rate, or for Adam the same rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from rgflow.activations.registry import activation
from rgflow.compute.machine import one_thread
from rgflow.practice.batch import Batch
from rgflow.practice.chain import Chain, Point
from rgflow.practice.choice import choose
from rgflow.practice.groups import ADAM_WIDTH
from rgflow.practice.predict import predict
from rgflow.practice.units import Training
from rgflow.task import Task
from rgflow.variables.library import document

Array = NDArray[np.float64]

RECIPES = ("torch", "gain", "xavier", "critical", "groups")
"""Initializations, all with one learning rate; "groups" is critical with the learning-rate tensor."""

_GAINS = {"relu": math.sqrt(2.0), "gelu": math.sqrt(2.0), "swish": math.sqrt(2.0), "tanh": 5.0 / 3.0, "selu": 0.75}
_TRAINING = Training("mse", "mean")


@dataclass(frozen=True)
class Contest:
    """What is compared.

    Attributes
    ----------
    activations, depths, width
        Chains of `depth` Linear layers.
    seeds
        Number of networks of each kind.
    steps
        Full-batch steps.
    factors
        Learning rates of SGD in units of the largest safe one.
    adam_rates
        Learning rates of Adam.
    """

    activations: tuple[str, ...] = ("relu", "tanh", "gelu", "swish", "selu")
    depths: tuple[int, ...] = (8, 20, 50)
    width: int = 64
    seeds: int = 16
    steps: int = 200
    factors: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    adam_rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


@dataclass(frozen=True, eq=False)
class _Arm:
    """One chain with one initialization and, per parameter and layer, relative rates, (2, layer): biases, weights."""

    chain: Chain
    point: Point
    scales: dict[str, Array] = field(default_factory=dict)


def proof(task: Task, contest: Contest, seed: int = 0) -> xr.Dataset:
    """Signals by theory and losses by training, of all recipes.

    Parameters
    ----------
    task
        Data to learn and to predict, with test targets.
    contest
        Sizes.
    seed
        Of the weights.

    Returns
    -------
    Dataset on ``activation``, ``depth``, ``recipe``: ``signal_correlation`` (of the inputs, at the outputs), ``signal_K``,
    ``signal_Theta`` (all rates 1), ``signal_kappa``; and on ``optimizer``, ``rate`` (place in the list of rates) and ``seed``
    too: ``contest_train_loss``, ``contest_test_loss``, torch's mean square error, infinite where training diverged.
    """
    cells = list(product(contest.activations, contest.depths, RECIPES))
    signals, losses = [], []
    with one_thread():
        for name, depth, recipe in cells:
            arm, data = _arm(task, contest, name, depth, recipe)
            signals.append(_signal(data))
            losses.append(
                [_train(task, contest, arm, optimizer, _base(data, recipe), seed) for optimizer in ("sgd", "adam")]
            )
    shape = (len(contest.activations), len(contest.depths), len(RECIPES))
    dims = ("activation", "depth", "recipe")
    variables: dict[str, Any] = {
        name: (dims, np.array([signal[name] for signal in signals]).reshape(shape)) for name in signals[0]
    }
    results = np.array(losses)  # (cell, optimizer, role, rate, seed)
    for at, role in enumerate(("train", "test")):
        values = results[:, :, at].reshape(*shape, *results.shape[1:2], *results.shape[3:])
        variables[f"contest_{role}_loss"] = ((*dims, "optimizer", "rate", "seed"), values)
    coordinates = {"activation": list(contest.activations), "depth": list(contest.depths), "recipe": list(RECIPES)}
    coordinates |= {"optimizer": ["sgd", "adam"], "seed": np.arange(contest.seeds)}
    return document(xr.Dataset(variables, coordinates))


def best_losses(result: xr.Dataset, role: str = "test") -> xr.DataArray:
    """Median over seeds of the loss at the rate where it is smallest, per optimizer and recipe."""
    return result[f"contest_{role}_loss"].median("seed").min("rate")


def _arm(task: Task, contest: Contest, name: str, depth: int, recipe: str) -> tuple[_Arm, xr.Dataset]:
    """A chain with the initialization of a recipe, and what theory says of it."""
    sigma = activation(name)
    features, outputs = task.train_inputs.shape[1], task.train_targets.shape[1]
    widths = (features, *(contest.width,) * (depth - 1), outputs)
    chain = Chain(widths, (sigma,) * (depth - 1), (0.0,) * depth, (True,) * depth)
    point = initialization(chain, recipe)
    batch = Batch(task.train_inputs, None, task.train_inputs)
    data = predict(chain, point, batch, _TRAINING, np.ones((2, depth)))
    fan_in = np.array(widths[:-1], dtype=np.float64)
    one = np.ones((2, depth))
    if recipe != "groups":
        return _Arm(chain, point, {"sgd": one, "adam": one}), data
    tensor = np.stack([data["layer_lambda_b"].values, data["layer_lambda_W"].values / fan_in])
    adam = np.stack([np.ones(depth), np.concatenate([[1.0], ADAM_WIDTH / fan_in[1:]])])
    return _Arm(chain, point, {"sgd": tensor, "adam": adam}), data


def initialization(chain: Chain, recipe: str) -> Point:
    """Variances of a recipe for a chain with one activation, (C_b, C_W) per layer; Xavier's is 2 n_in/(n_in + n_out)."""
    (sigma,) = set(chain.activations)
    fan_in, fan_out = chain.widths[:-1], chain.widths[1:]
    nothing = (0.0,) * chain.depth
    if recipe == "torch":
        return Point(tuple(1.0 / (3.0 * n) for n in fan_in), (1.0 / 3.0,) * chain.depth)
    if recipe == "gain":
        return Point(nothing, (_GAINS[sigma.name] ** 2,) * chain.depth)
    if recipe == "xavier":
        return Point(nothing, tuple(2.0 * n / (n + m) for n, m in zip(fan_in, fan_out, strict=True)))
    choice = choose(sigma)
    return Point((choice.C_b,) * chain.depth, (choice.C_W,) * chain.depth)


def _signal(data: xr.Dataset) -> dict[str, float]:
    if "K" not in data:  # the kernel overflows
        return dict.fromkeys(("signal_correlation", "signal_K", "signal_Theta", "signal_kappa"), math.nan)
    return {
        "signal_correlation": float(data["correlation"].values[-1]),
        "signal_K": float(np.diagonal(data["K"].values[-1]).mean()),
        "signal_Theta": float(np.diagonal(data["Theta_output"].sel(rates="unit").values).mean()),
        "signal_kappa": float(data["kappa"].values[-1]),
    }


def _base(data: xr.Dataset, recipe: str) -> float:
    """The largest safe rate; a small number where there is none."""
    rate = (
        float(data["safe_rate"].sel(rates="tensor" if recipe == "groups" else "torch")) if "safe_rate" in data else 1e-6
    )
    return rate if math.isfinite(rate) else 1e-6


def _train(task: Task, contest: Contest, arm: _Arm, optimizer: str, base: float, seed: int) -> Array:
    """Losses after training, (role, rate, seed); the same weights for every rate."""
    x, y, x_test, y_test = (torch.as_tensor(a, dtype=torch.float32) for a in _arrays(task))
    rates = [base * factor for factor in contest.factors] if optimizer == "sgd" else contest.adam_rates
    losses = []
    for rate in rates:
        parameters = _draw(arm, contest.seeds, seed)
        steps = _optimizer(parameters, arm.scales[optimizer], rate, optimizer)
        for _ in range(contest.steps):
            steps.zero_grad()
            _losses(arm.chain, parameters, x, y).sum().backward()  # type: ignore[no-untyped-call]
            steps.step()
        with torch.no_grad():
            final = [_losses(arm.chain, parameters, *pair).double().numpy() for pair in ((x, y), (x_test, y_test))]
        losses.append(np.where(np.isfinite(final), final, np.inf))
    return np.stack(losses, axis=1)


def _arrays(task: Task) -> Sequence[Array]:
    assert task.test_targets is not None
    return task.train_inputs, task.train_targets, task.test_inputs, task.test_targets


def _draw(arm: _Arm, members: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(biases, weights) of every layer for many networks, (member, 1, n_out) and (member, n_in, n_out), Gaussian."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for (n, m), C_b, C_W in zip(pairwise(arm.chain.widths), arm.point.C_b, arm.point.C_W, strict=True):
        bias = torch.randn(members, 1, m, generator=generator).mul_(math.sqrt(C_b))
        weight = torch.randn(members, n, m, generator=generator).mul_(math.sqrt(C_W / n))
        drawn.append((bias.requires_grad_(), weight.requires_grad_()))
    return drawn


def _optimizer(
    parameters: list[tuple[torch.Tensor, torch.Tensor]], scales: Array, rate: float, name: str
) -> torch.optim.Optimizer:
    """Both update every entry by itself, or by its own gradient alone, so the networks do not know of each other."""
    groups = [
        {"params": [parameter], "lr": rate * float(scales[kind, layer])}
        for layer, pair in enumerate(parameters)
        for kind, parameter in enumerate(pair)
    ]
    return torch.optim.SGD(groups, lr=rate) if name == "sgd" else torch.optim.Adam(groups, lr=rate)


def _losses(
    chain: Chain, parameters: list[tuple[torch.Tensor, torch.Tensor]], x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """Torch's mean square error of every network, (member,)."""
    z = _outputs(chain, parameters, x)
    return nn.functional.mse_loss(z, y.expand_as(z), reduction="none").mean(dim=(1, 2))


def _outputs(chain: Chain, parameters: list[tuple[torch.Tensor, torch.Tensor]], x: torch.Tensor) -> torch.Tensor:
    """Outputs of every network, (member, sample, output)."""
    z = x.expand(len(parameters[0][0]), *x.shape)
    for signal, (bias, weight) in zip(_signals(chain), parameters, strict=True):
        z = torch.baddbmm(bias, signal(z), weight)
    return z


def _signals(chain: Chain) -> Iterator[Any]:
    yield lambda x: x
    yield from chain.activations
