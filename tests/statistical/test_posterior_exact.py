"""Sampled posteriors against exact ones at finite width: deep linear networks, and one hidden layer by quadrature."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import xarray as xr
from posterior_exact import Exact, deep_linear, one_hidden_layer
from sklearn.datasets import load_digits

from rgflow.network import Network
from rgflow.posterior.blocks import sample_posterior
from rgflow.posterior.problem import Problem
from rgflow.task import Task
from rgflow.theory.learning.linear_posterior import linear_posterior

NAMES = ("log_evidence", "posterior_mean", "posterior_covariance", "hidden_kernel")
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
    x, labels = load_digits(return_X_y=True)
    chosen = np.flatnonzero(labels <= 1)[: train + test]
    x = x[chosen] * (8.0 / np.linalg.norm(x[chosen], axis=1, keepdims=True))
    y = np.where(labels[chosen] == 1, 1.0, -1.0)[:, None]
    return Task(x[:train], y[:train], x[train:])


LINEAR = [
    pytest.param((4, 5, 1), 0.0, 2.0, 0.02, id="one hidden layer"),
    pytest.param((4, 7, 9, 1), 0.2, 3.0, 0.02, id="two, with biases"),
    pytest.param((4, 2, 6, 1), 0.1, 3.0, 0.02, id="features above the first"),
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


def test_several_outputs_couple() -> None:
    """Covariance between different outputs, which vanishes at infinite width, and two unrelated exact integrals."""
    network, one = Network("linear", (4, 5, 6, 2), 0.1, 1.2), small_task(3, 1.5)
    y = np.concatenate([one.train_targets, -one.train_targets[::-1]], 1)
    exact = linear_posterior(network, one.train_inputs, y, one.test_inputs, noise=0.05)
    posterior = sample(network, Task(one.train_inputs, y, one.test_inputs), 0.05, seed=7)
    between = posterior["posterior_covariance"][0, 1]
    assert float((abs(between) / posterior["posterior_covariance_stderr"][0, 1]).max()) > 10.0
    for name in NAMES:
        z = (posterior[name] - exact[name]) / np.hypot(posterior[f"{name}_stderr"], exact[f"{name}_error"])
        assert float(abs(z).max()) < WORST, name


def test_moves_without_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Problem, "differentiable", False)
    network, task = Network("linear", (4, 7, 5, 1), 0.2, 1.1), small_task(1, 3.0)
    posterior = sample(network, task, 0.02, seed=8, islands=64, particles=32)
    assert posterior.attrs["move"] == "crank_nicolson"
    assert posterior.sizes["stage"] > 1
    for name, z in z_scores(posterior, deep_linear(network, task, 0.02)).items():
        assert abs(z).max() < WORST, name


def test_explicit_weights_at_tiny_widths() -> None:
    """Everything drawn, the last layer too, and weighted by the density of the noise: two outputs, a curved activation."""
    network, noise = Network("gelu", (3, 4, 5, 2), 0.1, 1.6), 0.4
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(3, 3)), rng.normal(size=(2, 2))
    log_w, f = explicit_outputs(network, x, y, noise, members=400_000)
    groups = np.exp(log_w).reshape(100, -1), f.reshape(100, -1, 6)
    first = np.einsum("gm,gma->ga", *groups)
    second = np.einsum("gm,gma,gmb->gab", groups[0], groups[1], groups[1])
    total = groups[0].sum(1)
    left = total.sum() - total
    mean = (first.sum(0) - first) / left[:, None]
    covariance = (second.sum(0) - second) / left[:, None, None] - mean[:, :, None] * mean[:, None, :]
    posterior = sample(network, Task(x[:2], y, x[2:]), noise, seed=9)
    expected = {
        "log_evidence": np.log(left / (400_000 - 4000)),
        "posterior_mean": mean.reshape(-1, 3, 2),
        "posterior_covariance": covariance.reshape(-1, 3, 2, 3, 2).transpose(0, 2, 4, 1, 3),
    }
    for name, replicates in expected.items():
        error = np.sqrt(99 * replicates.var(0))
        z = (posterior[name].values - replicates.mean(0)) / np.hypot(posterior[f"{name}_stderr"], error)
        assert abs(z).max() < 4.0, name


def explicit_outputs(
    network: Network, x: np.ndarray, y: np.ndarray, noise: float, members: int
) -> tuple[np.ndarray, np.ndarray]:
    """log p(y | f) (members,) and the outputs f (members, samples x outputs) of networks with explicit weights."""
    rng = np.random.default_rng(10)
    layer = np.broadcast_to(x, (members, *x.shape))
    for depth, (below, width) in enumerate(itertools.pairwise(network.widths)):
        W = rng.normal(size=(members, below, width)) * np.sqrt(network.C_W[depth] / below)
        b = rng.normal(size=(members, 1, width)) * np.sqrt(network.C_b[depth])
        layer = (network.activation(layer) if depth else layer) @ W + b
    squares = ((layer[:, : len(y)] - y) ** 2).sum((1, 2))
    return -0.5 * (squares / noise + y.size * np.log(2 * np.pi * noise)), layer.reshape(members, -1)


def test_z_scores_are_standard_normal() -> None:
    """Root mean square over 24 small posteriors of different networks, data and seeds, one number of each kind from each."""
    z = []
    for seed in range(24):
        network, task = Network("linear", (4, 5 + seed % 4, 6, 1), 0.1 * (seed % 2), 1.1), small_task(seed, 2.0)
        posterior = sample(network, task, 0.1, seed=seed, islands=64, particles=24)
        scores = z_scores(posterior, deep_linear(network, task, 0.1, points=30))
        z.append([scores["log_evidence"], scores["posterior_mean"][3, 0], scores["hidden_kernel"][3, 3]])
        assert max(abs(values).max() for values in scores.values()) < WORST
    assert 0.85 < float(np.sqrt(np.mean(np.square(z)))) < 1.2


@pytest.mark.parametrize(("n", "islands"), [(32, 64), (8, 64)])
def test_deep_linear_on_24_digits(n: int, islands: int) -> None:
    network, task = Network("linear", (64, n, n, 1), 0.0, 1.0), digits(24, 3)
    posterior = sample(network, task, 0.1, seed=11, islands=islands)
    z = z_scores(posterior, deep_linear(network, task, 0.1, points=40))
    assert max(abs(values).max() for values in z.values()) < WORST


@pytest.mark.slow
@pytest.mark.parametrize("n", [16, 128])
def test_deep_linear_on_100_digits(n: int) -> None:
    """Below the number of samples by features, above it by singular factors: the images span 50 dimensions or so."""
    network, task = Network("linear", (64, n, n, 1), 0.0, 1.0), digits(100, 3)
    posterior = sample(network, task, 0.1, seed=12, islands=64)
    z = z_scores(posterior, deep_linear(network, task, 0.1))
    assert max(abs(values).max() for values in z.values()) < WORST
