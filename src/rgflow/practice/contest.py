"""What initializations are worth: losses after training over many seeds, of all recipes.

Every recipe has the same number of learning rates to choose from: for plain descent the same multiples of its own largest safe
rate, for Adam the same rates. All networks of a recipe start from the same normal numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from rgflow.activations.torch_names import torch_function
from rgflow.compute.machine import one_thread
from rgflow.practice.chain import Chain, Point
from rgflow.practice.groups import adam_scales
from rgflow.practice.spec import Contest
from rgflow.task import Task

Array = NDArray[np.float64]
Weights = list[tuple[torch.Tensor, torch.Tensor]]

OPTIMIZERS = ("sgd", "adam")


def train_recipes(task: Task, chain: Chain, signals: xr.Dataset, contest: Contest) -> xr.Dataset:
    """Train networks of every recipe on a task, on its mean square error.

    Parameters
    ----------
    task
        Data to learn and to predict, with test targets.
    chain, signals
        The layers, and what :func:`rgflow.practice.recipes.recipes` says of them.
    contest
        Sizes.

    Returns
    -------
    Dataset on ``recipe``, ``optimizer``, ``rate`` (place in the list of rates) and ``seed``: ``contest_train_loss`` and
    ``contest_test_loss``, torch's mean square error, infinite where training diverged. Besides ``contest_rate``, and
    ``contest_zero_loss``, the test loss of the prediction 0.
    """
    recipes = list(signals["recipe"].values)
    with one_thread():
        losses = [
            [_train(task, chain, signals.sel(recipe=recipe), optimizer, contest) for optimizer in OPTIMIZERS]
            for recipe in recipes
        ]
    dims = ("recipe", "optimizer", "rate", "seed")
    train, test = np.moveaxis(np.array(losses), 2, 0)
    return xr.Dataset(
        {
            "contest_train_loss": (dims, train),
            "contest_test_loss": (dims, test),
            "contest_rate": (("optimizer", "rate"), [contest.factors, contest.adam_rates]),
            "contest_zero_loss": float(np.mean(np.square(_arrays(task)[-1]))),
        },
        {"recipe": recipes, "optimizer": list(OPTIMIZERS), "seed": np.arange(contest.seeds)},
    )


def at_best_rate(result: xr.Dataset, role: str = "test") -> xr.DataArray:
    """Losses (recipe, optimizer, seed) at the rate of each recipe and optimizer with the smallest median train loss."""
    best = result["contest_train_loss"].median("seed").argmin("rate")
    return result[f"contest_{role}_loss"].isel(rate=best)


def _train(task: Task, chain: Chain, recipe: xr.Dataset, optimizer: str, contest: Contest) -> Array:
    """Losses after training, (role, rate, seed); the same weights for every rate."""
    x, y, x_test, y_test = (torch.as_tensor(a, dtype=torch.float32) for a in _arrays(task))
    safe = float(recipe["safe_rate"])
    rates = [safe * factor for factor in contest.factors] if optimizer == "sgd" else contest.adam_rates
    losses = []
    for rate in rates:
        networks = draw_networks(chain, point_of(recipe), contest.seeds, contest.seed)
        stepper = optimizer_of(networks, relative_rates(recipe, chain, optimizer), rate, optimizer)
        for _ in range(contest.steps):
            stepper.zero_grad()
            mean_square_errors(chain, networks, x, y).sum().backward()  # type: ignore[no-untyped-call]
            stepper.step()
        with torch.no_grad():
            final = [mean_square_errors(chain, networks, *pair).double().numpy() for pair in ((x, y), (x_test, y_test))]
        losses.append(np.where(np.isfinite(final), final, np.inf))
    return np.stack(losses, axis=1)


def _arrays(task: Task) -> Sequence[Array]:
    assert task.test_targets is not None
    return task.train_inputs, task.train_targets, task.test_inputs, task.test_targets


def point_of(recipe: xr.Dataset) -> Point:
    """The variances that a recipe has stored."""
    return Point(tuple(recipe["layer_C_b"].values.tolist()), tuple(recipe["layer_C_W"].values.tolist()))


def relative_rates(recipe: xr.Dataset, chain: Chain, optimizer: str) -> Array:
    """What multiplies the learning rate of the biases and weights of each layer, (2, layer)."""
    fan_in = np.array(chain.widths[:-1], dtype=np.float64)
    if optimizer == "sgd":
        return np.stack([recipe["layer_lambda_b"].values, recipe["layer_lambda_W"].values / fan_in])
    return adam_scales(chain.widths[:-1]) if recipe["recipe"] == "groups" else np.ones((2, chain.depth))


def draw_networks(chain: Chain, point: Point, members: int, seed: int) -> Weights:
    """(biases, weights) of every layer for many networks, (member, 1, n_out) and (member, n_in, n_out), Gaussian."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for (n, m), C_b, C_W in zip(pairwise(chain.widths), point.C_b, point.C_W, strict=True):
        bias = torch.randn(members, 1, m, generator=generator).mul_(math.sqrt(C_b))
        weight = torch.randn(members, n, m, generator=generator).mul_(math.sqrt(C_W / n))
        drawn.append((bias.requires_grad_(), weight.requires_grad_()))
    return drawn


def optimizer_of(networks: Weights, scales: Array, rate: float, name: str) -> torch.optim.Optimizer:
    """Both update every entry by its own gradient alone, so the networks do not know of each other."""
    groups = [
        {"params": [parameter], "lr": rate * float(scales[kind, layer])}
        for layer, pair in enumerate(networks)
        for kind, parameter in enumerate(pair)
    ]
    return torch.optim.SGD(groups, lr=rate) if name == "sgd" else torch.optim.Adam(groups, lr=rate)


def mean_square_errors(chain: Chain, networks: Weights, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Torch's mean square error of every network, (member,)."""
    z = network_outputs(chain, networks, x)
    return nn.functional.mse_loss(z, y.expand_as(z), reduction="none").mean(dim=(1, 2))


def network_outputs(chain: Chain, networks: Weights, x: torch.Tensor) -> torch.Tensor:
    """Outputs of every network, (member, sample, output)."""
    z = x.expand(len(networks[0][0]), *x.shape)
    for signal, (bias, weight) in zip(_signals(chain), networks, strict=True):
        z = torch.baddbmm(bias, signal(z), weight)
    return z


def _signals(chain: Chain) -> Iterator[Callable[[torch.Tensor], torch.Tensor]]:
    """What stands in front of each layer."""
    yield lambda x: x
    yield from map(torch_function, chain.activations)
