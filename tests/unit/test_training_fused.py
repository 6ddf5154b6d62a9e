"""Fused kernels of activations against sigma and sigma' themselves."""

from __future__ import annotations

import pytest
import torch

from rgflow.activations.registry import activation
from rgflow.training.fused import _FUSED, activation_kernels

NAMES = ["tanh", "sigmoid", "relu", "gelu", "swish", "sin", "leaky_relu"]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_kernels_are_the_activation_and_its_slope(name: str, overwrite: bool) -> None:
    sigma = activation(name)
    z, delta = torch.randn(2, 3, 5, 40, dtype=torch.float64)[0, :2]
    value, trace = activation_kernels(sigma, overwrite).forward(z.clone())
    torch.testing.assert_close(value, sigma(z), rtol=1e-13, atol=1e-14)
    expected = delta * sigma.derivative(z, 1)
    torch.testing.assert_close(
        activation_kernels(sigma, overwrite).pull_back(delta.clone(), trace), expected, rtol=1e-12, atol=1e-13
    )


def test_an_argument_that_a_skip_needs_is_left_alone() -> None:
    z = torch.randn(7)
    kept = z.clone()
    for name in NAMES:
        activation_kernels(activation(name), overwrite=False).forward(z)
        assert torch.equal(z, kept)


def test_every_fused_activation_is_tested() -> None:
    assert set(_FUSED) <= {activation(name).label for name in NAMES}
