"""The vertex contracted with matrices, against the contraction of the vertex itself."""

from __future__ import annotations

import numpy as np
import pytest

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization.contracted import contracted_vertex
from rgflow.theory.initialization.finite_width import finite_width_tensors

INPUTS = np.random.default_rng(5).normal(size=(5, 6)) + 0.5
Y = np.random.default_rng(6).normal(size=(3, 5, 5))


def network(activation: str, widths: tuple[int, ...] = (5, 7, 4, 2)) -> Network:
    return Network(activation, (6, *widths), 0.1, 1.1 + 0.1 * np.arange(len(widths)))


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_contraction_of_the_certified_vertex(activation: str) -> None:
    V = finite_width_tensors(network(activation), INPUTS, ["V"])["V"].values[0]
    expected = np.einsum("abcd,mcd->mab", V, Y)
    found = contracted_vertex(network(activation), INPUTS, Y, nodes=2**14)
    z = (found["VY"].values - expected) / found["VY_error"].values
    assert 0.4 < np.sqrt(np.mean(z**2)) < 1.8
    assert found["VY_error"].max() < 2e-2 * np.abs(expected).max()
    np.testing.assert_allclose(found["VY"], found["VY"].values.swapaxes(1, 2), rtol=1e-10)


def test_linear_network_has_no_error() -> None:
    """Pair functions of sigma = z are of second order, which the controls make exact."""
    V = finite_width_tensors(network("linear"), INPUTS, ["V"])["V"].values[0]
    found = contracted_vertex(network("linear"), INPUTS, Y, nodes=128)
    np.testing.assert_allclose(found["VY"], np.einsum("abcd,mcd->mab", V, Y), rtol=1e-9)


def test_the_antisymmetric_part_of_Y_does_not_matter() -> None:
    first, second = (
        contracted_vertex(network("tanh"), INPUTS, matrices, nodes=128) for matrices in (Y, Y.swapaxes(1, 2))
    )
    np.testing.assert_allclose(first["VY"], second["VY"], rtol=1e-10)


def test_one_layer_has_no_vertex() -> None:
    assert not contracted_vertex(network("tanh", (2,)), INPUTS, Y)["VY"].any()


@pytest.mark.parametrize(
    ("matrices", "nodes", "message"),
    [
        (Y[0], 128, r"Y has shape \(5, 5\); allowed: finite numbers \(contraction, 5, 5\)"),
        (Y[:, :4], 128, r"Y has shape \(3, 4, 5\); allowed"),
        (Y, 129, r"nodes = 129; allowed: a power of two"),
    ],
)
def test_refusals(matrices: np.ndarray, nodes: int, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        contracted_vertex(network("tanh"), INPUTS, matrices, nodes=nodes)
    with pytest.raises(RgflowError, match=r"a contracted vertex needs a plain network"):
        contracted_vertex(Network("tanh", (6, 4, 4), 0, 1, xi_2=0.5), INPUTS, Y)
