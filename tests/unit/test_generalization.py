"""Bias and variance against width and depth, for deep linear networks, whose loss is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.learning.generalization import generalization
from rgflow.theory.learning.training import training_theory

X = np.array([[0.9, -0.4, 0.5], [-0.2, 1.0, 0.3]])
Y = np.array([[0.8, -0.3]])
DEPTHS, WIDTHS = (2, 3, 6), (32, 128)


@pytest.fixture(scope="module")
def theories() -> dict[int, xr.Dataset]:
    """Deep linear networks after gradient flow, one train and one test sample."""
    settings = {"times": (0.0, 1.0), "learning_rate": 0.0, "test_targets": np.array([[0.2, 0.1]])}
    return {
        L: training_theory(Network("linear", (3, *(8,) * (L - 1), 2), 0, 1, 0, 1 / L), X[:1], Y, X[1:], **settings)
        for L in DEPTHS
    }


def test_deep_linear_networks(theories: dict[int, xr.Dataset]) -> None:
    """The loss at the end is a straight line in (L - 1)/n: E1 = (L - 1)/4 C sum_i (y_i^2/K - 1), all of it variance."""
    found = generalization(theories, WIDTHS)
    K = theories[2]["K_output"].values
    C = K[1, 1] - K[0, 1] ** 2 / K[0, 0]
    slope = (np.array(DEPTHS) - 1) / 4 * C * (Y**2 / K[0, 0] - 1).sum()
    bias = 0.5 * ((K[0, 1] / K[0, 0] * Y - 0.0 - np.array([[0.2, 0.1]])) ** 2).sum()
    np.testing.assert_allclose(found["bias"], np.full((3, 2), bias), rtol=1e-9)
    np.testing.assert_allclose(found["variance"], C + slope[:, None] / WIDTHS, rtol=1e-9)
    np.testing.assert_allclose(found["loss"], found["bias"] + found["variance"], rtol=1e-12)
    np.testing.assert_allclose(found["loss_infinite"], np.full(3, bias + C), rtol=1e-9)
    np.testing.assert_allclose(found["equal_order_ratio"], np.array(DEPTHS) / abs(slope) * (bias + C), rtol=1e-9)
    at_ratio = found["loss_next"] * found["equal_order_ratio"] / found["depth"]
    np.testing.assert_allclose(abs(at_ratio), found["loss_infinite"], rtol=1e-12)


def test_at_a_step_and_by_another_label(theories: dict[int, xr.Dataset]) -> None:
    renamed = {10: theories[2], 20: theories[3]}
    found = generalization(renamed, [64], dim="train_count", step=1)
    expected = theories[3]["test_loss"].values[1] + theories[3]["test_loss1"].values[1] / 64
    np.testing.assert_allclose(found["loss"].sel(train_count=20, width=64), expected, rtol=1e-13)
    assert "equal_order_ratio" not in found


def test_refusals(theories: dict[int, xr.Dataset]) -> None:
    with pytest.raises(RgflowError, match=r"widths = \[0, 4\]"):
        generalization(theories, [0, 4])
    with pytest.raises(RgflowError, match=r"step = 7; recorded are \[0, 1\]"):
        generalization(theories, [4], step=7)
    with pytest.raises(RgflowError, match="lacks test_bias1_limit"):
        generalization({2: theories[2].drop_vars("test_bias1_limit")}, [4])
