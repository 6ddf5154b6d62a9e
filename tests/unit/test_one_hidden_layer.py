"""Exact inference with one hidden layer: the other exact route, explicit networks, and the slope at large width."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.learning.bayes import bayes_theory
from rgflow.theory.learning.linear_posterior import linear_posterior
from rgflow.theory.learning.one_hidden_layer import one_hidden_layer_posterior

BIASES = (0.0, 0.2)  # none below: two features span a plane
NOISE = 0.2


def data(train: int, outputs: int, test: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {"train_inputs": (train, 2), "train_targets": (train, outputs), "test_inputs": (test, 2)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


@pytest.mark.parametrize(("train", "outputs"), [(1, 1), (2, 1), (1, 2)])
def test_linear_neurons_agree_with_the_integral_over_scales(train: int, outputs: int) -> None:
    network, task = Network("linear", (2, 4, outputs), BIASES, 1.2), data(train, outputs)
    fourier = one_hidden_layer_posterior(network, **task, noise=NOISE)
    scales = linear_posterior(network, **task, noise=NOISE)
    for name in ("log_evidence", "posterior_mean", "posterior_covariance", "hidden_kernel"):
        difference = abs(fourier[name] - scales[name])
        assert float(difference.max()) < 1e-11, name
        assert (difference <= 2 * fourier[f"{name}_error"] + 2 * scales[f"{name}_error"] + 2e-14).all(), name
    kernel = BIASES[1] + 1.2 * fourier["preactivation_kernel"]
    np.testing.assert_allclose(fourier["hidden_kernel"], kernel, rtol=1e-12)


@pytest.mark.parametrize(("activation", "train", "outputs"), [("tanh", 2, 1), ("gelu", 1, 2), ("relu", 1, 2)])
def test_the_slope_at_large_width_is_the_order_one_over_n(activation: str, train: int, outputs: int) -> None:
    task, widths = data(train, outputs), np.array([200, 400, 800])

    def network(n: int) -> Network:
        return Network(activation, (2, n, outputs), BIASES, 1.5)

    theory = bayes_theory(network(200), **task, noise=NOISE)
    exact = [one_hidden_layer_posterior(network(n), **task, noise=NOISE) for n in widths]
    for name in ("log_evidence", "posterior_mean", "posterior_covariance", "hidden_kernel", "preactivation_kernel"):
        leading, expected = theory[name].values, theory[f"{name}1"].values
        if name == "posterior_covariance":
            leading = np.eye(outputs)[:, :, None, None] * leading
        scaled = [n * (found[name].values - leading) for n, found in zip(widths, exact, strict=True)]
        slope = np.polynomial.polynomial.polyfit(1 / widths, np.reshape(scaled, (len(widths), -1)), 2)[0]
        np.testing.assert_allclose(
            slope.reshape(expected.shape), expected, atol=1e-4 * np.abs(expected).max(), err_msg=name
        )


@pytest.mark.parametrize(("activation", "width"), [("relu", 3), ("tanh", 3), ("hard_tanh", 3)])
def test_networks_weighted_by_their_likelihood_agree(activation: str, width: int) -> None:
    """Explicit networks of one feature, with biases in the smooth one: 20 groups of 50000 draws give the standard errors."""
    C_b, C_W = (0.3 if activation == "tanh" else 0.0, 0.2), 1.5
    task = {"train_inputs": [[1.2], [-0.7]], "train_targets": [[0.9], [0.4]], "test_inputs": [[0.3]]}
    network = Network(activation, (1, width, 1), C_b, C_W)
    found = one_hidden_layer_posterior(network, **task, noise=NOISE)
    mean, evidence = found["posterior_mean"].values[:, 0], float(np.exp(found["log_evidence"]))
    second = found["posterior_covariance"].values[0, 0] + np.outer(mean, mean)
    z = np.array([explicit(network, task, seed) for seed in range(20)])
    kernels = [found[name].values for name in ("hidden_kernel", "preactivation_kernel")]
    expected = np.concatenate([part.ravel() for part in (mean, second, *kernels)])
    residual = np.column_stack([z[:, 0] - evidence, z[:, 1:] - expected * z[:, :1]])
    scores = residual.mean(axis=0) / (residual.std(axis=0, ddof=1) / np.sqrt(len(z)))
    assert abs(scores).max() < 4.5
    assert 0.3 < np.sqrt(np.mean(scores**2)) < 1.7


def explicit(network: Network, task: dict[str, Any], seed: int) -> np.ndarray:
    """Means of the likelihood, and of it times outputs, their products and the two kernels of the hidden layer."""
    rng, draws, n = np.random.default_rng(seed), 50000, network.widths[1]
    x = np.concatenate([task["train_inputs"], task["test_inputs"]])[:, 0]
    (b1, b2), (w1, w2) = network.C_b, network.C_W
    z = np.sqrt(b1) * rng.normal(size=(draws, n, 1)) + np.sqrt(w1) * rng.normal(size=(draws, n, 1)) * x
    s = network.activation(z)
    f = np.sqrt(b2) * rng.normal(size=(draws, 1)) + np.sqrt(w2 / n) * np.einsum(
        "pj,pja->pa", rng.normal(size=(draws, n)), s
    )
    left = np.array(task["train_targets"])[:, 0] - f[:, :2]
    likelihood = np.exp(-np.sum(left**2, axis=1) / (2 * NOISE)) / (2 * np.pi * NOISE)
    parts = (np.ones((draws, 1)), f, f[:, :, None] * f[:, None], b2 + w2 / n * s.mT @ s, z.mT @ z / n)
    return np.concatenate([np.ravel(likelihood @ part.reshape(draws, -1)) / draws for part in parts])


@pytest.mark.parametrize(
    ("network", "train", "noise", "message"),
    [
        (
            Network("tanh", (2, 4, 4, 1), BIASES[0], 1.0),
            1,
            0.1,
            "depth = 3; this posterior is known for one hidden layer",
        ),
        (
            Network("tanh", (2, 4, 1), BIASES, 1.0),
            1,
            0.0,
            "noise = 0; the exact posterior of one hidden layer needs noise > 0",
        ),
        (Network("tanh", (2, 4, 1), BIASES, 1.0), 3, 0.1, "there are 3 target numbers; allowed: 2"),
        (Network("tanh", (2, 4, 1), 0.1, 1.0), 2, 0.1, "span 3 dimensions in the first layer.* allowed for tanh: 2"),
        (Network("hard_tanh", (2, 4, 1), BIASES, 1.0), 2, 0.1, "span 2 dimensions .* allowed for hard_tanh: 1"),
        (Network("relu", (2, 4, 4), 0.1, 1.0, xi_2=0.5), 1, 0.1, "needs a plain network"),
    ],
)
def test_what_has_no_exact_posterior_is_named(network: Network, train: int, noise: float, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        one_hidden_layer_posterior(network, **data(train, network.widths[-1]), noise=noise)
