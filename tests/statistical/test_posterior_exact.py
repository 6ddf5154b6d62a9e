"""Sampled posteriors against exact ones at finite width: deep linear networks, and one hidden layer by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from posterior_exact import Exact, deep_linear, one_hidden_layer

from rgflow.data.sources import read_digits
from rgflow.network import Network
from rgflow.posterior.blocks import sample_posterior
from rgflow.task import Task

WORST = 4.5  # |z|, over all quantities of a posterior


def z_scores(posterior: xr.Dataset, exact: Exact) -> dict[str, np.ndarray]:
    return {
        name: (posterior[name].values - values) / posterior[f"{name}_stderr"].values for name, values in exact.items()
    }


def sample(network: Network, task: Task, noise: float, seed: int, islands: int = 64, particles: int = 64) -> xr.Dataset:
    data = (task.train_inputs, task.train_targets, task.test_inputs)
    return sample_posterior(network, *data, noise=noise, islands=islands, particles=particles, seed=seed)


def small_task(seed: int, scale: float) -> Task:
    rng = np.random.default_rng(seed)
    return Task(rng.normal(size=(3, 4)), scale * rng.normal(size=(3, 1)), rng.normal(size=(2, 4)))


def digits(train: int, test: int) -> Task:
    """Zeros and ones on the sphere |x|^2 = n_0, targets -1 and +1."""
    x, labels = read_digits()
    chosen = np.flatnonzero(labels <= 1)[: train + test]
    x = x[chosen] * (8.0 / np.linalg.norm(x[chosen], axis=1, keepdims=True))
    y = np.where(labels[chosen] == 1, 1.0, -1.0)[:, None]
    return Task(x[:train], y[:train], x[train:])


LINEAR = [
    pytest.param((4, 5, 1), 0.0, 2.0, 0.02, id="one hidden layer"),
    pytest.param((4, 7, 9, 1), 0.2, 3.0, 0.02, id="two, with biases"),
    pytest.param((4, 2, 6, 1), 0.1, 2.0, 0.1, id="features above the first"),
    pytest.param((4, 6, 2, 1), 0.0, 2.0, 0.1, id="features above the last"),
]


@pytest.mark.parametrize(("widths", "C_b", "scale", "noise"), LINEAR)
def test_deep_linear_networks(widths: tuple[int, ...], C_b: float, scale: float, noise: float) -> None:
    network, task = Network("linear", widths, C_b, 1.1), small_task(1, scale)
    exact = deep_linear(network, task, noise)
    posterior = sample(network, task, noise, seed=5)
    assert posterior.sizes["stage"] > 1
    assert posterior.attrs["warnings"] == []
    for name, z in z_scores(posterior, exact).items():
        assert abs(z).max() < WORST, name


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
def test_one_hidden_layer_of_any_activation(activation: str) -> None:
    network, task = Network(activation, (4, 6, 1), 0.1, 1.5), small_task(2, 3.0)
    task = Task(task.train_inputs[:1], task.train_targets[:1], task.test_inputs[:1])
    posterior = sample(network, task, 0.01, seed=6)
    places = {
        "log_evidence": (),
        "posterior_mean": (1, 0),
        "posterior_covariance": (0, 0, 1, 1),
        "hidden_kernel": (0, 0),
    }
    for name, value in one_hidden_layer(network, task, 0.01).items():
        z = (posterior[name].values[places[name]] - value) / posterior[f"{name}_stderr"].values[places[name]]
        assert abs(z) < WORST, name
