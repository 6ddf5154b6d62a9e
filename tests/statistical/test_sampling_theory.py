"""Sampled tensors against the leading-order theory, and devices against each other.

Estimates at widths n and 2n are combined to 2 T(2n) - T(n), which removes the first correction in 1/n; what is left must be
within 4.5 standard errors, plus one percent of the tensor for the corrections of second order.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr

from rgflow.network import Network
from rgflow.sampling.blocks import sample_initialization
from rgflow.theory.initialization.tensors import initialization_theory

ALL = ("K", "V", "Theta", "D", "F", "A", "B")
INPUTS = np.random.default_rng(3).normal(size=(2, 8))
BOUND = 4.5


def network(activation: str, n: int) -> Network:
    return Network(activation, (8, n, 2 * n, n, 2), 0.1, 1.5, 0.3, 0.9)


def sampled(activation: str, n: int, device: str = "cpu") -> xr.Dataset:
    return sample_initialization(network(activation, n), INPUTS, members=50_000, seed=4, tensors=ALL, device=device)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_extrapolated_tensors_agree_with_theory(activation: str) -> None:
    small, large = sampled(activation, 48), sampled(activation, 96)
    theory = initialization_theory(network(activation, 96), INPUTS, ALL)
    for name in ALL:
        extrapolated = 2 * large[name] - small[name]
        error = np.hypot(2 * large[f"{name}_stderr"], small[f"{name}_stderr"])
        allowed = BOUND * error + 0.01 * np.abs(theory[name]).max(theory[name].dims[1:])
        assert (np.abs(extrapolated - theory[name]) <= allowed).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_residues_fall_as_one_over_n_squared_from_64_to_512(activation: str) -> None:
    """Last layer, within errors plus 30/n^2 of the largest component (0.7 % at n = 64, 0.01 % at n = 512).

    K and Theta against two orders of theory at every width; all tensors extrapolated from the widths n and 2n.
    """
    ensembles = {n: sampled(activation, n) for n in (64, 128, 256, 512)}
    theory = initialization_theory(network(activation, 64), INPUTS).isel(layer=-1)
    for name in ALL:
        scale = float(np.abs(theory[name]).max())
        for n in (64, 256):
            small, large = (ensembles[width].isel(layer=-1) for width in (n, 2 * n))
            residue = 2 * large[name] - small[name] - theory[name]
            error = np.hypot(2 * large[f"{name}_stderr"], small[f"{name}_stderr"])
            allowed = BOUND * error + 30 * scale / n**2
            assert (np.abs(residue) <= allowed).all(), (name, n)
        if name in ("K", "Theta"):
            for n, ensemble in ensembles.items():
                here = ensemble.isel(layer=-1)
                rest = here[name] - theory[name] - theory[{"K": "G1", "Theta": "Theta1"}[name]] / n
                assert (np.abs(rest) <= BOUND * here[f"{name}_stderr"] + 30 * scale / n**2).all(), (name, n)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_cuda_has_the_statistics_of_the_cpu(activation: str) -> None:
    cpu, cuda = (sampled(activation, 48, device) for device in ("cpu", "cuda"))
    for name in ALL:
        error = np.hypot(cpu[f"{name}_stderr"], cuda[f"{name}_stderr"]).sel(layer=slice(2, None))
        difference = np.abs(cpu[name] - cuda[name]).sel(layer=slice(2, None))
        assert (difference <= BOUND * error).all(), name
