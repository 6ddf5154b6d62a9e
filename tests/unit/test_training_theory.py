"""The kernel prediction of gradient descent against literal iteration and exact special cases."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.learning.bayes import bayes_theory
from rgflow.theory.learning.dynamics import gradient_descent_fraction
from rgflow.theory.learning.output import output_kernels
from rgflow.theory.learning.rate import learning_rate
from rgflow.theory.learning.training import training_theory

NETWORK = Network("relu", (3, 9, 9, 2), 0.1, 1.7, lambda_b=(0.3, 0.2, 0.5), lambda_W=(1.0, 0.8, 1.2))
STEPS = (0, 1, 2, 7, 40)


@pytest.fixture
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    shapes = {"train_inputs": (4, 3), "train_targets": (4, 2), "test_inputs": (3, 3), "test_targets": (3, 2)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def theory(data: dict[str, np.ndarray], network: Network = NETWORK, **settings: Any) -> xr.Dataset:
    return training_theory(network, **data, **{"steps": STEPS, "order": "leading", **settings})


def test_output_kernels_of_relu_are_the_arccosine_kernels() -> None:
    x = np.random.default_rng(2).normal(size=(5, 3))
    K, Theta = 0.1 + 1.7 * x @ x.T / 3, 0.3 + x @ x.T / 3
    for lambda_b, lambda_W in [(0.2, 0.8), (0.5, 1.2)]:
        norm = np.sqrt(np.outer(np.diag(K), np.diag(K)))
        angle = np.arccos(np.clip(K / norm, -1, 1))
        ss, dd = norm * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)
        K, Theta = 0.1 + 1.7 * ss, lambda_b + lambda_W * ss + 1.7 * dd * Theta
    for value, expected in zip(output_kernels(NETWORK, x), (K, Theta), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-7)  # arccos loses half the digits at equal inputs


def test_mean_and_covariance_follow_the_literal_iteration(data: dict[str, np.ndarray]) -> None:
    result = theory(data)
    K, Theta = output_kernels(NETWORK, np.concatenate([data["train_inputs"], data["test_inputs"]]))
    eta = learning_rate(NETWORK, data["train_inputs"], 0.5)
    assert eta == pytest.approx(0.5 * 2 / np.linalg.eigvalsh(Theta[:4, :4])[-1], rel=1e-5)
    one_step = np.eye(7)
    one_step[:, :4] -= eta * Theta[:, :4]
    mean, covariance = np.zeros((7, 2)), K
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            at = result.sel(step=step)
            np.testing.assert_allclose(at["prediction_mean"], mean, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(at["prediction_covariance"], covariance, rtol=1e-11, atol=1e-13)
        mean = mean - eta * Theta[:, :4] @ (mean[:4] - data["train_targets"])
        covariance = one_step @ covariance @ one_step.T


def test_train_error_of_each_mode_decays_by_its_eigenvalue(data: dict[str, np.ndarray]) -> None:
    result = theory(data, step_fraction=0.9)
    theta, modes = np.linalg.eigh(result["Theta_output"].values[:4, :4])
    left = modes.T @ (result["prediction_mean"].sel(step=7).values[:4] - data["train_targets"])
    decay = (1 - result["learning_rate"].item() * theta) ** 7
    np.testing.assert_allclose(left, -decay[:, None] * (modes.T @ data["train_targets"]), rtol=1e-10)
    np.testing.assert_allclose(result["theta_eigenvalue"], theta, rtol=1e-12)
    assert float(result["learning_rate"]) == pytest.approx(0.9 * 2 / theta[-1], rel=1e-5)
    assert float(result["theta_max"]) == pytest.approx(theta[-1])


def test_the_limit_is_reached_and_interpolates(data: dict[str, np.ndarray]) -> None:
    result = theory(data, steps=(0, 10**6))
    Theta = result["Theta_output"].values
    expected = Theta[:, :4] @ np.linalg.solve(Theta[:4, :4], data["train_targets"])
    np.testing.assert_allclose(result["kernel_mean_limit"], expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(result["prediction_mean"].sel(step=10**6), expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(result["kernel_mean_limit"][:4], data["train_targets"], rtol=1e-9)
    assert abs(result["prediction_covariance"].values[1, :4]).max() < 1e-12


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_training_the_last_layer_alone_is_noiseless_inference(data: dict[str, np.ndarray], activation: str) -> None:
    last_only = Network(activation, (3, 9, 9, 2), 0.1, 1.7, lambda_b=(0, 0, 0.1), lambda_W=(0, 0, 1.7))
    trained = theory(data, last_only, steps=(0, 10**9)).sel(step=10**9)
    del data["test_targets"]
    inferred = bayes_theory(last_only, **data)
    np.testing.assert_allclose(trained["Theta_output"], trained["K_output"], rtol=1e-12)
    np.testing.assert_allclose(trained["prediction_mean"], inferred["posterior_mean"], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(trained["prediction_covariance"], inferred["posterior_covariance"], rtol=1e-7, atol=1e-9)


def test_expected_losses_are_bias_squared_plus_variance(data: dict[str, np.ndarray]) -> None:
    result = theory(data)
    for role, targets in {"train": data["train_targets"], "test": data["test_targets"]}.items():
        part = result.isel(sample=result["role"].values == role, sample_1=result["role"].values == role)
        variance = np.array([np.diag(c) for c in result["prediction_covariance"].values])[:, result["role"] == role]
        expected = 0.5 * ((part["prediction_mean"].values - targets) ** 2 + variance[..., None]).sum(axis=(1, 2))
        np.testing.assert_allclose(result[f"{role}_loss"], expected, rtol=1e-12)
    assert float(result["train_loss"][-1]) < float(result["train_loss"][0])


def test_generalization_error_of_one_train_and_one_test_sample(data: dict[str, np.ndarray]) -> None:
    one = {name: value[:1] for name, value in data.items()}
    result = theory(one, steps=(0, 10**5)).isel(step=1)
    K, Theta = result["K_output"].values, result["Theta_output"].values
    g = Theta[1, 0] / Theta[0, 0]
    bias = 0.5 * ((g * one["train_targets"] - one["test_targets"]) ** 2).sum()
    variance = K[1, 1] - 2 * g * K[0, 1] + g**2 * K[0, 0]  # times n_L / 2 with n_L = 2
    assert float(result["test_loss"]) == pytest.approx(bias + variance, rel=1e-9)


def test_repeated_train_inputs_learn_their_average_target(data: dict[str, np.ndarray]) -> None:
    data["train_inputs"][1] = data["train_inputs"][0]
    result = theory(data, steps=(0, 10**6))
    average = data["train_targets"][:2].mean(axis=0)
    for learned in (result["kernel_mean_limit"].values, result["prediction_mean"].values[-1]):
        np.testing.assert_allclose(learned[:2], [average, average], rtol=1e-6)
    assert np.isfinite(result["prediction_covariance"]).all()


def test_samples_may_come_in_any_order(data: dict[str, np.ndarray]) -> None:
    order = [2, 0, 3, 1]
    shuffled = {**data, "train_inputs": data["train_inputs"][order], "train_targets": data["train_targets"][order]}
    everyone = [*order, 4, 5, 6]
    expected = theory(data).isel(sample=everyone, sample_1=everyone, sample_2=everyone, drop=True)
    for name in ("prediction_mean", "prediction_covariance", "train_loss", "test_loss"):
        np.testing.assert_allclose(theory(shuffled)[name], expected[name], rtol=1e-10, atol=1e-12)


def test_without_test_targets_there_is_no_test_loss(data: dict[str, np.ndarray]) -> None:
    del data["test_targets"]
    assert "test_loss" not in theory(data)


@pytest.mark.parametrize("x", [0.0, 1e-18, 1e-9, 1e-3, 0.3, 0.6, 1.0, 1.7])
@pytest.mark.parametrize("step", [0, 1, 2, 1000, 10**7])
def test_learned_fraction_is_accurate_for_all_rates(x: float, step: int) -> None:
    eta = 0.37
    theta = np.array([x / eta])
    with mpmath.workdps(60):
        exact_theta, exact_eta = mpmath.mpf(theta[0]), mpmath.mpf(eta)
        exact = (1 - (1 - exact_eta * exact_theta) ** step) / exact_theta if x else exact_eta * step
    # a rate near the stability limit amplifies the rounding of 1 - eta theta by the number of steps while it counts
    assert gradient_descent_fraction(theta, eta, step)[0] == pytest.approx(float(exact), rel=2e-13, abs=0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_fraction": 0.0}, "step_fraction = 0.0"),
        ({"step_fraction": 1.0}, "step_fraction = 1.0; it must lie between 0 and 1, the stability limit"),
        ({"steps": ()}, "steps"),
        ({"steps": (3, 5)}, "start at 0"),
        ({"test_inputs": np.ones((3, 2))}, "test_inputs has 2 columns; train_inputs has 3"),
        ({"test_targets": np.ones((2, 2))}, "test_targets has 2 samples; test_inputs has 3"),
        ({"train_targets": np.ones(4)}, r"train_targets has shape \(4,\)"),
        ({"train_inputs": np.full((4, 3), np.nan)}, r"train_inputs\[0, 0\] = nan; it must be finite"),
    ],
)
def test_bad_input_is_named(data: dict[str, np.ndarray], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        training_theory(NETWORK, **{**data, "steps": STEPS, "order": "leading", **settings})


def test_a_network_that_learns_nothing_is_named(data: dict[str, np.ndarray]) -> None:
    frozen = Network("relu", (3, 9, 2), 0.1, 1.7, lambda_b=0.0, lambda_W=0.0)
    with pytest.raises(RgflowError, match="nothing is learned"):
        theory(data, frozen)


def test_a_kernel_that_overflows_names_its_layer(data: dict[str, np.ndarray]) -> None:
    explosive = Network("relu", (3, 9, 9, 9, 2), 0.0, 1e200)
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(RgflowError, match="K is not finite at layer 2"):
        theory(data, explosive)
