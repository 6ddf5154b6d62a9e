"""Differentials of the NTK: against numerical derivatives along gradient steps; symmetries, limits and refusals of theory."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from dense_averages import DenseAverages

import rgflow
from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.network import Network
from rgflow.sampling.dntk import contractions, sample_dntk
from rgflow.theory.initialization.dntk import dntk_theory

# torch scripts its own forward-mode rules when they are first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
NETWORK = Network("gelu", (3, 5, 7, 4, 2), 0.2, [1.2, 1.4, 1.6, 1.8], [0.3, 0.4, 0.5, 0.6], [0.8, 0.7, 0.6, 0.5])


def outputs(phi: torch.Tensor) -> torch.Tensor:
    """A nonlinear map from 6 parameters to 3 outputs."""
    return torch.stack([torch.sin(phi[:3]) @ phi[3:], torch.tanh(phi[0] * phi[4]) + phi[5] ** 3, (phi**2).sum().cos()])


def test_one_gradient_step_changes_the_ntk_by_dH_and_ddH() -> None:
    """delta H_12 = -eta (dH_12c + dH_21c) e_c + eta^2/2 (ddI_12cd + ddI_21cd + 2 ddII_12cd) e_c e_d."""
    phi, e = torch.linspace(-0.7, 0.8, 6, dtype=torch.float64), torch.tensor([0.4, -0.3, 0.9], dtype=torch.float64)
    found = contractions(outputs, phi)
    direction = e @ torch.func.jacrev(outputs)(phi)

    def ntk(eta: float) -> torch.Tensor:
        gradient = torch.func.jacrev(outputs)(phi - eta * direction)
        return gradient @ gradient.T

    eta = 1e-4
    first = -torch.einsum("abc,c->ab", found.dH + found.dH.transpose(0, 1), e)
    both = found.ddI + found.ddI.transpose(0, 1) + found.ddII + found.ddII.transpose(0, 1)
    second = torch.einsum("abcd,c,d->ab", both, e, e)
    torch.testing.assert_close(found.H, ntk(0.0))
    torch.testing.assert_close((ntk(eta) - ntk(-eta)) / (2 * eta), first, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close((ntk(eta) - 2 * ntk(0.0) + ntk(-eta)) / eta**2, second, rtol=1e-5, atol=1e-5)


def test_contractions_of_a_cubic_by_hand() -> None:
    """z = phi^3: g = 3 phi^2, dH = 6 phi g^2, ddI = 6 g^3, ddII = (6 phi g)^2."""
    found = contractions(lambda phi: phi**3, torch.tensor([2.0], dtype=torch.float64))
    assert [part.item() for part in found] == [8.0, 144.0, 1728.0, 10368.0, 20736.0]


def test_symmetries_of_the_definitions() -> None:
    """ddI is symmetric in the last three indices, ddII_1234 = ddII_2143; exchange of inputs permutes the tensors."""
    theory, exchanged = dntk_theory(NETWORK, INPUTS), dntk_theory(NETWORK, INPUTS[::-1])
    equal = partial(np.testing.assert_allclose, rtol=1e-12)
    equal(theory["P"], theory["P"].values.transpose(0, 1, 3, 2, 4))
    equal(theory["R"], theory["R"].values.transpose(0, 1, 2, 4, 3))
    for name in "TU":
        equal(theory[name], theory[name].values.transpose(0, 3, 4, 1, 2))
    equal(theory["S"], theory["S"].values.transpose(0, 2, 1, 4, 3))
    for name in "PQRSTU":
        equal(theory[name], exchanged[name].values[:, ::-1, ::-1, ::-1, ::-1], err_msg=name)
        assert not theory[name].sel(layer=1).any()


def test_a_repeated_input_gives_what_one_input_gives() -> None:
    one, twice = dntk_theory(NETWORK, INPUTS[:1]), dntk_theory(NETWORK, INPUTS[[0, 0]])
    for name in "PQRSTU":
        np.testing.assert_allclose(twice[name], np.broadcast_to(one[name], twice[name].shape), rtol=1e-10)


def test_nothing_moves_if_only_the_last_layer_is_trained() -> None:
    lazy = Network("tanh", (3, 5, 7, 2), 0.2, 1.3, [0, 0, 0.5], [0, 0, 0.7])
    last = dntk_theory(lazy, INPUTS).isel(layer=-1)
    sampled = sample_dntk(lazy, INPUTS, members=2000, seed=1)
    for name in "PQRSTU":
        np.testing.assert_allclose(last[name], 0.0, atol=1e-14)
        np.testing.assert_allclose(sampled[name], 0.0, atol=1e-14)


def test_quadratic_network_by_hand() -> None:
    """sigma = z^2, one input, one hidden layer, K and Theta of layer 1: U = C_W^2 Theta^3 <s''^2 s'^2> and so on."""
    square = Network("monomial", (3, 4, 2), 0.2, 1.3, 0.4, 0.7)
    K, Theta = 0.2 + 1.3 * INPUTS[0] @ INPUTS[0] / 3, 0.4 + 0.7 * INPUTS[0] @ INPUTS[0] / 3
    last = dntk_theory(square, INPUTS[:1]).isel(layer=-1).squeeze()
    np.testing.assert_allclose(last["U"], 1.3**2 * Theta**3 * 16 * K)  # s' = 2 z, s'' = 2
    np.testing.assert_allclose(last["P"], 1.3**2 * Theta**2 * 8 * 3 * K**2)
    np.testing.assert_allclose(last["R"], 1.3 * Theta**2 * 0.7 * 8 * 3 * K**2)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin"])
def test_dense_averages_agree_with_the_engine(activation: str) -> None:
    K = np.array([[0.9, 0.5], [0.5, 1.3]])
    sigma = rgflow.activation(activation)
    dense, engine = DenseAverages(sigma, K), Expectations(sigma, K)
    for orders in ((0, 0, 1, 1), (1, 1, 1, 1)):
        np.testing.assert_allclose(dense.mean(orders), engine.quartic(orders), rtol=1e-9, atol=1e-11)
    for p, q in ((2, 0), (3, 1), (2, 2)):
        np.testing.assert_allclose(dense.mean((p, q)), engine.pair(p, q), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("network", "inputs", "message"),
    [
        (
            Network("relu", (3, 4, 2), 0, 2),
            INPUTS,
            r"relu; the dNTK \(R, S, T, U: products of delta functions at equal inputs",
        ),
        (Network("tanh", (3, 4, 4, 4), 0, 1, xi_2=0.5), INPUTS, r"tensors = .*'P'.*; allowed are K, G1, T3, V, Theta"),
    ],
)
def test_theory_refuses(network: Network, inputs: np.ndarray, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        dntk_theory(network, inputs)


@pytest.mark.parametrize(
    ("network", "members", "message"),
    [
        (Network("relu", (3, 4, 2), 0, 2), 2000, r"activation = relu; the dNTK needs one without kinks"),
        (Network("tanh", (3, 4, 1), 0, 1), 2000, r"need 2 outputs; the network has 1"),
        (Network("tanh", (3, 4, 2), 0, 1), 500, r"members = 500; a multiple of 1000"),
    ],
)
def test_sampler_refuses(network: Network, members: int, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        sample_dntk(network, INPUTS, members=members, seed=0)


def test_workers_change_no_bit() -> None:
    network, steps = Network("tanh", (3, 2, 2), 0.1, 1.2), []
    alone = sample_dntk(network, INPUTS, members=2000, seed=4)
    shared = sample_dntk(network, INPUTS, members=2000, seed=4, workers=2, progress=lambda done, _: steps.append(done))
    xr.testing.assert_identical(alone, shared)
    assert steps == [1, 2]
