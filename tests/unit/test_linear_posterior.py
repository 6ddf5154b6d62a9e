"""Exact inference with deep linear networks: quadrature of scipy, the Meijer G function, networks themselves, and order 1/n."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from mpmath import mp
from scipy.integrate import quad
from scipy.stats import chi2, multivariate_normal

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.learning import latent_integral
from rgflow.theory.learning.bayes import bayes_theory
from rgflow.theory.learning.linear_posterior import linear_posterior

QUANTITIES = ("log_evidence", "posterior_mean", "posterior_covariance", "hidden_kernel")


def data(features: int, outputs: int, train: int = 2, test: int = 1, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"train_inputs": (train, features), "train_targets": (train, outputs), "test_inputs": (test, features)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def inputs_of(task: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([task["train_inputs"], task["test_inputs"]])


@pytest.mark.parametrize(("width", "noise"), [(1, 0.2), (5, 0.2), (5, 0.0), (40, 0.01)])
def test_one_hidden_layer_is_one_integral(width: int, noise: float) -> None:
    task, C_b, C_W = data(3, 1), 0.3, 1.4
    found = linear_posterior(Network("linear", (3, width, 1), C_b, C_W), **task, noise=noise)
    x, y = inputs_of(task), task["train_targets"][:, 0]
    K1 = C_b + C_W / 3 * x @ x.T

    def averaged(function: Any) -> float:
        def integrand(log_tau: float) -> float:
            tau = np.exp(log_tau)
            K = C_b + C_W * tau * K1
            density = multivariate_normal.pdf(y, cov=K[:2, :2] + noise * np.eye(2))
            return float(function(K) * density * chi2.pdf(width * tau, width) * width * tau)

        return float(quad(integrand, -80 / width, 4.0, epsabs=0.0, epsrel=1e-11, limit=400)[0])

    def mean(K: np.ndarray) -> float:
        return float(K[2, :2] @ np.linalg.solve(K[:2, :2] + noise * np.eye(2), y))

    def square(K: np.ndarray) -> float:
        gain = np.linalg.solve(K[:2, :2] + noise * np.eye(2), K[:2, 2])
        return float(K[2, 2] - K[2, :2] @ gain) + mean(K) ** 2

    evidence = averaged(lambda _: 1.0)
    test_mean = averaged(mean) / evidence
    second = averaged(square) / evidence
    assert float(found["log_evidence"]) == pytest.approx(np.log(evidence), rel=1e-9)
    assert float(found["posterior_mean"][2, 0]) == pytest.approx(test_mean, rel=1e-8)
    assert float(found["posterior_covariance"][0, 0, 2, 2]) == pytest.approx(second - test_mean**2, rel=1e-8)
    assert all(float(found[f"{name}_error"].max()) < 1e-10 for name in QUANTITIES)


@pytest.mark.parametrize("widths", [(3, 4, 1), (3, 6, 5, 1), (3, 9, 4, 7, 1)])
def test_noiseless_evidence_without_biases_is_a_meijer_function(widths: tuple[int, ...]) -> None:
    """p(y) = (2 pi)^(-N/2) |K|^(-1/2) prod_l (n_l/2)^(N/2)/Gamma(n_l/2) G(y K^-1 y/2 prod_l n_l/2 | 0, (n_l - N)/2)."""
    task, C_W, N = data(3, 1), 1.2, 2
    found = linear_posterior(Network("linear", widths, 0.0, C_W), **task, noise=0.0)
    K = C_W ** (len(widths) - 1) / 3 * task["train_inputs"] @ task["train_inputs"].T
    y, hidden = task["train_targets"][:, 0], widths[1:-1]
    argument = y @ np.linalg.solve(K, y) / 2 * np.prod(np.array(hidden) / 2)
    with mp.workdps(30):
        log_G = mp.log(mp.meijerg([[], []], [[0, *[mp.mpf(n - N) / 2 for n in hidden]], []], mp.mpf(argument)))
        log_norm = sum(mp.log(mp.mpf(n) / 2) * N / 2 - mp.loggamma(mp.mpf(n) / 2) for n in hidden)
        expected = float(log_G + log_norm) - N / 2 * np.log(2 * np.pi) - np.linalg.slogdet(K)[1] / 2
    assert float(found["log_evidence"]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("widths", [(3, 5, 2), (3, 5, 4, 1), (2, 1, 3, 2), (2, 3, 3, 3, 2)])
def test_networks_weighted_by_their_likelihood_agree(widths: tuple[int, ...]) -> None:
    """Explicit networks, all weights and biases drawn from the prior; 20 groups give the standard errors."""
    task, C_b, C_W, noise = data(widths[0], widths[-1], seed=5), (0.2, 0.3, 0.1, 0.25)[: len(widths) - 1], 1.1, 0.4
    found = linear_posterior(Network("linear", widths, C_b, C_W), **task, noise=noise)
    groups = [explicit_networks(widths, C_b, C_W, task, noise, seed) for seed in range(20)]
    total = {name: np.mean([group[name] for group in groups], axis=0) for name in groups[0]}
    scores = []
    for name in groups[0]:
        expected = expected_sums(found)[name]
        ratio = np.array([group[name] - expected * group["evidence"] for group in groups])
        if name == "evidence":
            ratio = np.array([group[name] - expected for group in groups])
        own = np.abs(total[name]) > 0
        scores.append((ratio.mean(axis=0) / (ratio.std(axis=0, ddof=1) / np.sqrt(len(groups))))[own].ravel())
    z = np.concatenate(scores)
    assert abs(z).max() < 4.5
    assert 0.3 < np.sqrt(np.mean(z**2)) < 1.7


def explicit_networks(
    widths: tuple[int, ...], C_b: Any, C_W: float, task: dict[str, np.ndarray], noise: float, seed: int
) -> dict[str, np.ndarray]:
    """Mean over 20000 networks of the likelihood and of it times outputs, their products and the hidden kernel."""
    rng, draws = np.random.default_rng(seed), 20000
    z = np.broadcast_to(inputs_of(task).T, (draws, widths[0], len(inputs_of(task))))
    for fan_in, fan_out, bias in zip(widths, widths[1:], C_b, strict=False):
        kernel = bias + C_W / fan_in * z.mT @ z
        weights = rng.normal(size=(draws, fan_out, fan_in)) * np.sqrt(C_W / fan_in)
        z = weights @ z + np.sqrt(bias) * rng.normal(size=(draws, fan_out, 1))
    left = task["train_targets"].T - z[:, :, :2]
    likelihood = np.exp(-np.sum(left**2, axis=(1, 2)) / (2 * noise)) / (2 * np.pi * noise) ** (left[0].size / 2)
    return {
        "evidence": likelihood.mean(),
        "mean": np.einsum("p,pia->ai", likelihood, z) / draws,
        "second": np.einsum("p,pia,pjb->ijab", likelihood, z, z, optimize=True) / draws,
        "hidden": np.einsum("p,pab->ab", likelihood, kernel) / draws,
    }


def expected_sums(found: xr.Dataset) -> dict[str, np.ndarray]:
    mean = found["posterior_mean"].values
    return {
        "evidence": np.exp(found["log_evidence"].values),
        "mean": mean,
        "second": found["posterior_covariance"].values + np.einsum("ai,bj->ijab", mean, mean),
        "hidden": found["hidden_kernel"].values,
    }


@pytest.mark.parametrize("shape", [(1, 1), (1, 2, 1)])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_slope_at_large_width_is_the_order_one_over_n(shape: tuple[int, ...], noise: float) -> None:
    """n (exact - infinite width) extrapolated by a polynomial in 1/n through widths 500 to 4000 with fixed ratios."""
    task, C_b, C_W = data(3, 1, test=2), 0.2, 1.3
    widths = np.array([500, 750, 1000, 2000, 4000])

    def network(n: int) -> Network:
        return Network("linear", (3, *[n * part for part in shape], 1), C_b, C_W)

    theory = bayes_theory(network(500), **task, noise=noise)
    exact = [linear_posterior(network(n), **task, noise=noise) for n in widths]
    for name in QUANTITIES:
        leading = theory[name].values
        scaled = [n * shape[-1] * (result[name].values - leading) for n, result in zip(widths, exact, strict=True)]
        slope = np.polynomial.polynomial.polyfit(1 / widths, np.reshape(scaled, (len(widths), -1)), 4)[0]
        expected = theory[f"{name}1"].values
        size = np.abs(expected).max()
        np.testing.assert_allclose(slope.reshape(expected.shape), expected, atol=2e-7 * size, err_msg=name)


def test_the_slope_couples_two_outputs_as_order_one_over_n_says() -> None:
    task = data(3, 2, test=1)
    widths = np.array([250, 500, 1000])
    theory = bayes_theory(Network("linear", (3, 500, 2), 0.2, 1.3), **task, noise=0.2)
    exact = [linear_posterior(Network("linear", (3, n, 2), 0.2, 1.3), **task, noise=0.2) for n in widths]
    for name in QUANTITIES:
        leading = theory[name].values
        if name == "posterior_covariance":
            leading = np.eye(2)[:, :, None, None] * leading
        scaled = [n * (result[name].values - leading) for n, result in zip(widths, exact, strict=True)]
        slope = np.polynomial.polynomial.polyfit(1 / widths, np.reshape(scaled, (len(widths), -1)), 2)[0]
        expected = theory[f"{name}1"].values
        np.testing.assert_allclose(slope.reshape(expected.shape), expected, atol=1e-5 * np.abs(expected).max())


def test_both_rules_agree_within_their_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    network, task = Network("linear", (3, 4, 6, 1), 0.1, 1.2), data(3, 1, train=3)
    product = linear_posterior(network, **task, noise=0.1)
    monkeypatch.setattr(latent_integral, "_PRODUCT_DIMENSIONS", 0)
    random = linear_posterior(network, **task, noise=0.1)
    z = [((random[name] - product[name]) / random[f"{name}_error"]).values.ravel() for name in QUANTITIES]
    assert 0.05 < np.sqrt(np.mean(np.concatenate(z) ** 2)) < 2.0
    assert float(random["log_evidence_error"]) < 1e-3


def test_the_evidence_is_a_density_of_the_last_target() -> None:
    network, task = Network("linear", (3, 2, 1), 0.1, 1.5), data(3, 1, train=3)
    grid = np.linspace(-30.0, 30.0, 151)

    def evidence(train: int, last: float) -> float:
        y = np.concatenate([task["train_targets"][:2], [[last]]])[:train]
        result = linear_posterior(network, task["train_inputs"][:train], y, task["test_inputs"], noise=0.3)
        return float(np.exp(result["log_evidence"]))

    assert sum(evidence(3, last) for last in grid) * (grid[1] - grid[0]) == pytest.approx(evidence(2, 0.0), rel=1e-8)


def test_more_train_samples_than_neurons_and_features() -> None:
    found = linear_posterior(Network("linear", (3, 2, 1), 0.1, 1.5), **data(3, 1, train=12, test=2), noise=0.3)
    assert np.linalg.eigvalsh(found["posterior_covariance"].values[0, 0])[0] > -1e-13
    assert all(float(found[f"{name}_error"].max()) < 1e-10 for name in QUANTITIES)


@pytest.mark.parametrize(
    ("network", "noise", "message"),
    [
        (
            Network("relu", (3, 4, 1), 0.0, 1.0),
            0.1,
            "activation is relu; exact posteriors at any depth hold for linear",
        ),
        (Network("linear", (3, 4, 4, 4), 0.0, 1.0, xi_2=0.5), 0.1, "needs a plain network"),
        (Network("linear", (3, 4, 1), 0.0, 1.0), -1.0, "noise = -1.0; it is a variance"),
        (Network("linear", (3, 1, 2), 0.0, 1.0), 0.0, "without noise no hidden layer may be narrower than the outputs"),
        (Network("linear", (1, 4, 1), 0.0, 1.0), 0.0, "the train kernel plus noise is singular"),
    ],
)
def test_what_has_no_exact_posterior_is_named(network: Network, noise: float, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        linear_posterior(network, **data(network.widths[0], network.widths[-1]), noise=noise)
