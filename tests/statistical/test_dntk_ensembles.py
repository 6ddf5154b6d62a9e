"""P, Q, R, S, T, U: theory against derivatives of networks with explicit weights by automatic differentiation.

In layer 2 the leading order is exact at every width, since the first layer is Gaussian and its NTK certain. Bounds are in
standard errors over groups of 1000 networks; seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from rgflow.network import Network
from rgflow.sampling.dntk import sample_dntk
from rgflow.theory.initialization.dntk import dntk_theory
from rgflow.theory.initialization.finite_width import finite_width_tensors

# torch scripts its own forward-mode rules when they are first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
TENSORS = "PQRSTU"
BOUND = 4.5


def network(activation: str, hidden: tuple[int, ...], scale: int = 1) -> Network:
    """Hyperparameters that differ in every layer, and unequal widths."""
    layers = np.arange(len(hidden) + 1)
    widths = (3, *(scale * n for n in hidden), 2)
    return Network(activation, widths, 0.1 + 0.05 * layers, 1.2 + 0.2 * layers, 0.3 + 0.1 * layers, 0.8 - 0.1 * layers)


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_exact_in_layer_2_at_width_3(activation: str) -> None:
    net = network(activation, (3,))
    theory, sampled = dntk_theory(net, INPUTS).sel(layer=[2]), sample_dntk(net, INPUTS, members=20_000, seed=1)
    for name in TENSORS:
        assert float(abs((sampled[name] - theory[name]) / sampled[f"{name}_stderr"]).max()) < BOUND, name
        assert float((abs(theory[name]) / sampled[f"{name}_stderr"]).max()) > 20, f"{name}: the experiment is blind"


@pytest.mark.slow
def test_five_different_inputs_in_layer_2() -> None:
    """All 3750 components of five inputs that span three dimensions, certified and on nodes; errors come from 20 groups."""
    net, inputs = network("gelu", (3,)), np.vstack([INPUTS, [[0.9, 0.2, -0.7], [-0.5, -0.8, 0.3], [0.1, 1.2, 0.6]]])
    sampled = sample_dntk(net, inputs, members=20_000, seed=3)
    certified, on_nodes = (finite_width_tensors(net, inputs, TENSORS, nodes=nodes) for nodes in (None, 2**15))
    for name in TENSORS:
        for theory in (certified, on_nodes):
            z = (sampled[name].sel(layer=[2]) - theory[name]) / sampled[f"{name}_stderr"].sel(layer=[2])
            assert float(abs(z).max()) < 6.5, name  # of Student's distribution with 19 degrees of freedom
            assert 0.5 < float(np.sqrt((z**2).mean())) < 1.7, name  # components are strongly correlated


@pytest.mark.slow
def test_layer_3_after_extrapolation() -> None:
    """What one layer hands to the next: 2 T(2n) - T(n), with 2 % of the largest component for the 1/n^2 that is left."""
    theory = dntk_theory(network("tanh", (4, 6)), INPUTS).sel(layer=[3])
    narrow, wide = (sampled_at(scale) for scale in (3, 6))
    for name in TENSORS:
        error = np.hypot(2 * wide[f"{name}_stderr"], narrow[f"{name}_stderr"])
        difference = abs(2 * wide[name] - narrow[name] - theory[name])
        assert bool((difference < BOUND * error + 0.02 * abs(theory[name]).max()).all()), name
    assert float(abs((narrow["U"] - theory["U"]) / narrow["U_stderr"]).max()) > 6, "the experiment is blind to 1/n"


def sampled_at(scale: int) -> xr.Dataset:
    return sample_dntk(network("tanh", (4, 6), scale), INPUTS, members=12_000, seed=3)
