"""What trained ensembles have beyond infinite width: control variates and twins against plain estimates.

At one hidden layer the means of the controls are exact at every width, so that estimates with and without them have the
same expectation and differ by noise alone. Seeds are fixed and bounds are stated in standard errors.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr

from rgflow.network import Network
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.training import training_theory
from rgflow.training.ensemble import train_ensemble

RNG = np.random.default_rng(0)
DATA = {
    "train_inputs": RNG.normal(size=(4, 4)),
    "train_targets": RNG.normal(size=(4, 2)),
    "test_inputs": RNG.normal(size=(2, 4)),
    "test_targets": RNG.normal(size=(2, 2)),
}
INPUTS = np.concatenate([DATA["train_inputs"], DATA["test_inputs"]])
STEPS = (0, 1, 3, 8)
NAMES = ("prediction_mean", "prediction_covariance", "train_loss", "test_loss")


def network(width: int, depth: int = 2) -> Network:
    return Network("tanh", (4, *(width,) * (depth - 1), 2), 0.2, 1.4, lambda_b=0.3)


@cache
def ensemble(width: int, tensors: tuple[str, ...] | None = ("G1", "Theta1", "D", "F"), **settings: Any) -> xr.Dataset:
    defaults: dict[str, Any] = {"members": 2048, "group": 32, "seed": 3, "control_variates": True, "dtype": "float64"}
    given = None if tensors is None else initialization_theory(network(width), INPUTS, tensors)
    steps = {"steps": STEPS, "step_fraction": 0.3, "ntk_steps": "ends"}
    return train_ensemble(network(width), **DATA, tensors=given, **{**defaults, **steps, **settings})


def excess(result: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Excess after initialization and its error; a covariance averaged over components as the plain one is."""
    value, error = (result[f"{name}_excess{suffix}"].isel(step=slice(1, None)) for suffix in ("", "_stderr"))
    if name != "prediction_covariance":
        return value.values, error.values
    # errors of the two components add at most linearly
    return tuple(sum(v.isel(output_1=i, output_2=i) for i in range(2)).values / 2 for v in (value, error))


def plain(result: xr.Dataset, name: str, width: int) -> tuple[np.ndarray, np.ndarray]:
    theory = training_theory(network(width), **DATA, steps=STEPS, step_fraction=0.3)
    value = width * (result[name] - theory[name])
    return value.isel(step=slice(1, None)).values, width * result[f"{name}_stderr"].isel(step=slice(1, None)).values


@pytest.mark.parametrize("antithetic", [False, True])
@pytest.mark.parametrize("tensors", [None, ("G1", "Theta1"), ("G1", "Theta1", "D", "F")])
def test_control_variates_are_unbiased_and_sharper(antithetic: bool, tensors: tuple[str, ...] | None) -> None:
    result = ensemble(64, tensors, antithetic=antithetic)
    sharper = {"prediction_mean": 5, "prediction_covariance": 8, "train_loss": 6, "test_loss": 15}
    for name in NAMES:
        (value, error), (expected, plain_error) = excess(result, name), plain(result, name, 64)
        z = (value - expected) / np.hypot(error, plain_error)
        assert abs(z).max() < 3.5, name
        if tensors == ("G1", "Theta1", "D", "F"):
            assert np.median(plain_error / error) > sharper[name], name


def test_twins_alone_sharpen_the_mean_and_are_unbiased() -> None:
    lone, twins = (ensemble(64, None, antithetic=antithetic, control_variates=False) for antithetic in (False, True))
    value, error = plain(twins, "prediction_mean", 64)
    expected, lone_error = plain(lone, "prediction_mean", 64)
    assert abs((value - expected) / np.hypot(error, lone_error)).max() < 3.5
    assert np.median(lone_error / error) > 3


def test_twins_of_another_seed_agree() -> None:
    """Errors are honest: two independent ensembles differ as they say."""
    first, second = ensemble(32, antithetic=True, seed=1), ensemble(32, antithetic=True, seed=2)
    z = []
    for name in NAMES:
        (a, a_error), (b, b_error) = excess(first, name), excess(second, name)
        z.append(((a - b) / np.hypot(a_error, b_error)).ravel())
    assert abs(np.concatenate(z)).max() < 4
    assert 0.6 < np.sqrt((np.concatenate(z) ** 2).mean()) < 1.4


def test_the_noise_of_the_excess_does_not_grow_with_the_width() -> None:
    narrow, wide = (ensemble(width, antithetic=True, members=512, group=8) for width in (32, 512))
    for name in NAMES:
        ratio = np.median(excess(wide, name)[1] / excess(narrow, name)[1])
        assert ratio < 2.0, name  # 16 for n times a plain estimate, 4 with errors of O(1/sqrt n)


def test_ntk_excess_is_that_of_the_mean_ntk() -> None:
    result = ensemble(64, antithetic=True)
    theta = training_theory(network(64), **DATA, steps=STEPS, step_fraction=0.3)["Theta_output"].values
    value = result["NTK_excess"].values
    expected, error = 64 * (result["NTK"].values - theta), 64 * result["NTK_stderr"].values
    own, own_error = value[:, [0, 1], [0, 1]].mean(axis=1), result["NTK_excess_stderr"].values[:, 0, 0]
    assert abs(own[0]).max() < 1e-8  # Theta1 = 0 at one hidden layer, and no noise at all
    assert abs((own[1] - expected[1]) / np.hypot(error[1], own_error[1])).max() < 3.5
    apart = abs(value[1, 0, 1] / result["NTK_excess_stderr"].values[1, 0, 1])
    assert apart.max() > 5  # training couples components


def test_known_means_at_two_hidden_layers_agree_with_sampled_ones_up_to_higher_orders() -> None:
    net = network(64, depth=3)
    given = initialization_theory(net, INPUTS, ("G1", "Theta1", "D", "F"))
    settings: dict[str, Any] = {
        "members": 2048, "group": 32, "seed": 3, "control_variates": True, "antithetic": True, "dtype": "float64",
        "steps": STEPS, "step_fraction": 0.3, "ntk_steps": "ends",
    }  # fmt: skip
    known, sampled = (train_ensemble(net, **DATA, tensors=tensors, **settings) for tensors in (given, None))
    for name in (*NAMES, "NTK"):
        error = np.hypot(known[f"{name}_excess_stderr"], sampled[f"{name}_excess_stderr"]).values
        allowance = 0.2 * abs(known[f"{name}_excess"]).max().item()  # of relative order 1/n, with a factor of about 10
        assert (abs(known[f"{name}_excess"] - sampled[f"{name}_excess"]).values < 3.5 * error + allowance).all(), name
