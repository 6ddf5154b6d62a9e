"""Inference at infinite width against scipy, the chain rule of probability and exact depth laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.learning.bayes import bayes_theory

NETWORK = Network("relu", (3, 9, 9, 2), 0.1, 1.7)


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    shapes = {"train_inputs": (4, 3), "train_targets": (4, 2), "test_inputs": (3, 3)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def log_evidence(network: Network, data: dict[str, np.ndarray], **settings: Any) -> float:
    return float(bayes_theory(network, **data, **settings)["log_evidence"])


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_posterior_is_gaussian_conditioning(data: dict[str, np.ndarray], noise: float) -> None:
    result = bayes_theory(NETWORK, **data, noise=noise)
    K = result["K_output"].values
    gain = K[:, :4] @ np.linalg.inv(K[:4, :4] + noise * np.eye(4))
    np.testing.assert_allclose(result["posterior_mean"], gain @ data["train_targets"], rtol=1e-9)
    np.testing.assert_allclose(result["posterior_covariance"], K - gain @ K[:4], rtol=1e-8, atol=1e-11)
    assert result["role"].values.tolist() == ["train"] * 4 + ["test"] * 3


def test_without_noise_the_posterior_passes_through_the_train_targets(data: dict[str, np.ndarray]) -> None:
    result = bayes_theory(NETWORK, **data)
    np.testing.assert_allclose(result["posterior_mean"][:4], data["train_targets"], rtol=1e-9)
    assert abs(result["posterior_covariance"].values[:4]).max() < 1e-11
    assert np.linalg.eigvalsh(result["posterior_covariance"])[0] > -1e-14


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_evidence_is_the_gaussian_density_of_the_targets(data: dict[str, np.ndarray], noise: float) -> None:
    result = bayes_theory(NETWORK, **data, noise=noise)
    covariance = result["K_output"].values[:4, :4] + noise * np.eye(4)
    density = multivariate_normal(np.zeros(4), covariance)
    expected = sum(density.logpdf(component) for component in data["train_targets"].T)
    assert float(result["log_evidence"]) == pytest.approx(expected, rel=1e-10)
    assert float(result["evidence_fit"] + result["evidence_occam"]) == pytest.approx(expected, rel=1e-10)


def test_evidence_obeys_the_chain_rule_with_the_posterior(data: dict[str, np.ndarray]) -> None:
    noise = 0.2
    first = {"train_inputs": data["train_inputs"][:3], "train_targets": data["train_targets"][:3]}
    part = bayes_theory(NETWORK, **first, test_inputs=data["train_inputs"][3:], noise=noise)
    mean, variance = part["posterior_mean"].values[-1], float(part["posterior_covariance"][-1, -1]) + noise
    left = data["train_targets"][3] - mean
    conditional = (-0.5 * left**2 / variance - 0.5 * np.log(2 * np.pi * variance)).sum()
    whole = log_evidence(NETWORK, data, noise=noise)
    assert whole == pytest.approx(float(part["log_evidence"]) + conditional, rel=1e-10)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("depth", [3, 40])
def test_evidence_of_scale_invariant_networks_peaks_at_criticality_with_depth(activation: str, depth: int) -> None:
    inputs, targets = np.array([[1.0, 0.2], [-0.3, 0.8]]), np.array([[0.7, -0.2], [0.1, 1.1]])
    critical = {"linear": 1.0, "relu": 2.0}[activation]

    def evidence(log_C_W: float) -> xr.Dataset:
        network = Network(activation, (2, *[5] * (depth - 1), 2), 0.0, np.exp(log_C_W))
        return bayes_theory(network, inputs, targets, inputs[:1], order="leading")

    scale = float(evidence(np.log(critical))["optimal_scale"])
    predicted = np.log(critical) + np.log(scale) / depth
    bounds = (predicted - 3 / depth, predicted + 3 / depth)
    peak = minimize_scalar(lambda at: -float(evidence(at)["log_evidence"]), bounds=bounds, method="bounded")
    assert peak.x == pytest.approx(predicted, abs=1e-4 / depth)
    h = 1e-2 / depth
    top, *sides = (float(evidence(predicted + shift)["log_evidence"]) for shift in (0.0, h, -h))
    width = np.sqrt(-(h**2) / (sum(sides) - 2 * top))
    assert width == pytest.approx(np.sqrt(2 / (2 * 2)) / depth, rel=1e-4)


def test_noise_makes_repeated_inputs_two_measurements(data: dict[str, np.ndarray]) -> None:
    one = {"train_inputs": data["train_inputs"][:1], "train_targets": data["train_targets"][:1]}
    twice = {name: value[[0, 0]] for name, value in one.items()}
    halved = bayes_theory(NETWORK, **one, test_inputs=data["test_inputs"], noise=0.1)
    repeated = bayes_theory(NETWORK, **twice, test_inputs=data["test_inputs"], noise=0.2)
    np.testing.assert_allclose(repeated["posterior_mean"][2:], halved["posterior_mean"][1:], rtol=1e-11)
    covariances = [result["posterior_covariance"].values[skip:, skip:] for skip, result in ((2, repeated), (1, halved))]
    np.testing.assert_allclose(*covariances, rtol=1e-11)


def test_a_singular_train_kernel_is_named(data: dict[str, np.ndarray]) -> None:
    data["train_inputs"][1] = data["train_inputs"][0]
    with pytest.raises(RgflowError, match=r"singular .* give noise > 0"):
        bayes_theory(NETWORK, **data)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"noise": -0.1}, "noise = -0.1; it is a variance"),
        ({"noise": float("nan")}, "noise = nan; it must be a finite number"),
        ({"order": "third"}, "order = 'third'; allowed: leading, next"),
        ({"train_inputs": np.zeros((0, 3))}, r"train_inputs has shape \(0, 3\); it must be a non-empty matrix"),
        ({"train_targets": np.zeros((4, 3))}, "targets have 3 components; the network has n_L = 2 outputs"),
        ({"train_targets": np.zeros((3, 2))}, "train_targets has 3 samples; train_inputs has 4"),
        ({"train_targets": np.full((4, 2), np.nan)}, r"train_targets\[0, 0\] = nan; it must be finite"),
    ],
)
def test_bad_input_is_named(data: dict[str, np.ndarray], wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        bayes_theory(NETWORK, **(data | wrong))
