"""Trained ensembles against the kernel prediction: agreement at large width and a deviation that falls as 1/n.

Seeds are fixed. At finite width the prediction is off by O(1/n), while the members agree ever better about train samples
as they learn them: bounds are therefore 4 standard errors plus an allowance c/n, with c stated.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from rgflow.network import Network
from rgflow.theory.learning.training import training_theory
from rgflow.training.ensemble import train_ensemble

STEPS = (0, 2, 5, 60)
RNG = np.random.default_rng(21)
DATA = {
    "train_inputs": RNG.normal(size=(3, 4)),
    "train_targets": RNG.normal(size=(3, 2)),
    "test_inputs": RNG.normal(size=(2, 4)),
    "test_targets": RNG.normal(size=(2, 2)),
}


def both(
    network: Network, data: dict[str, np.ndarray], members: int, step_fraction: float = 0.5
) -> tuple[xr.Dataset, xr.Dataset]:
    """Theory and experiment with the same learning rate."""
    theory = training_theory(network, **data, steps=STEPS, step_fraction=step_fraction, order="leading")
    rate = float(theory["learning_rate"])
    ensemble = train_ensemble(network, **data, members=members, seed=5, learning_rate=rate, steps=STEPS, ntk_steps=(0,))
    return theory, ensemble


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_wide_trained_ensembles_follow_the_kernel_prediction(activation: str) -> None:
    width = 160
    layers = {"C_b": 0.2, "C_W": 1.4, "lambda_b": (0.5, 0.2, 0.3), "lambda_W": (0.7, 1.2, 0.9)}
    theory, ensemble = both(Network(activation, (4, width, width, 2), **layers), DATA, members=256)
    allowances = {"prediction_mean": 10, "prediction_covariance": 4, "train_loss": 30, "test_loss": 30}
    for name, allowance in allowances.items():
        error = ensemble[f"{name}_stderr"].values
        deviation = abs(ensemble[name].values - theory[name].values)
        assert (deviation < 4 * error + allowance / width).all(), name
        assert (deviation[0] < 4 * error[0]).all(), name  # at initialization the mean is exact, the rest nearly
    ntk_deviation = abs(ensemble["NTK"].values[0] - theory["Theta_output"].values)
    assert (ntk_deviation < 4 * ensemble["NTK_stderr"].values[0] + 3 / width).all()


def test_deviation_from_the_kernel_prediction_falls_as_one_over_width() -> None:
    data = {**DATA, "train_targets": 2 * DATA["train_targets"][:, :1], "test_targets": DATA["test_targets"][:, :1]}
    scaled, errors = [], []
    for width in (32, 128):
        network = Network("tanh", (4, width, 1), 0.2, 1.4, lambda_b=0.3, lambda_W=1.0)
        theory, ensemble = both(network, data, members=4000, step_fraction=0.15)
        deviation = (ensemble["prediction_mean"] - theory["prediction_mean"]).sel(step=5).values[:, 0]
        scaled.append(width * deviation)
        errors.append(width * ensemble["prediction_mean_stderr"].sel(step=5).values[:, 0])
    largest = np.argmax(abs(scaled[0]))
    assert abs(scaled[0][largest]) > 8 * errors[0][largest]
    assert 0.6 < scaled[1][largest] / scaled[0][largest] < 1.8, (scaled, errors)  # 4 if constant, 2 if 1/sqrt(n)
