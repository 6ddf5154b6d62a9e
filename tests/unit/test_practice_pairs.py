"""Fast pair averages against the certified ones, nearly parallel inputs included."""

from __future__ import annotations

import numpy as np
import pytest

import rgflow
from rgflow.gaussian.expectations import Expectations
from rgflow.practice.chain import Chain, Point, flow
from rgflow.practice.pairs import pair_means


def _kernel(count: int = 4) -> np.ndarray:
    x = np.random.default_rng(3).standard_normal((count, 9))
    return x @ x.T / 9


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "selu", "elu", "hard_tanh", "softplus"])
def test_like_the_certified_averages(name: str) -> None:
    sigma, K = rgflow.activation(name), _kernel()
    ss, dd, error = pair_means(sigma, K)
    exact = Expectations(sigma, K, 1e-8)
    assert error < 1e-6
    assert np.allclose(ss, exact.pair(0), rtol=0, atol=1e-8)
    assert np.allclose(dd, exact.pair(1), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("name", "scale"), [("selu", 1.0), ("selu", 1.1), ("elu", 1.0), ("hard_tanh", 1.0)])
@pytest.mark.parametrize("rho", [0.99, 0.999, 0.9999])
def test_the_error_bounds_what_nearly_parallel_inputs_lose(name: str, scale: float, rho: float) -> None:
    sigma, K = rgflow.activation(name), np.array([[1.0, rho * scale], [rho * scale, scale**2]])
    ss, dd, error = pair_means(sigma, K)
    exact = Expectations(sigma, K, 1e-6)
    assert error < 1e-3
    for mean, reference in ((ss, exact.pair(0)), (dd, exact.pair(1))):
        assert np.abs(mean - reference).max() <= error * np.abs(reference).max() + 1e-12


def test_flow_is_that_of_the_library() -> None:
    x = np.random.default_rng(0).standard_normal((3, 7))
    point, names = Point((0.1, 0.2, 0.0, 0.3), (1.5, 1.2, 1.7, 0.9)), ["tanh", "gelu", "relu"]
    network = rgflow.Network(names, (7, 5, 6, 8, 2), point.C_b, point.C_W, (0.3, 0.5, 0.2, 0.7), (1.0, 0.4, 0.8, 0.6))
    chain = Chain(network.widths, network.activations, (0.0,) * 4, (True,) * 4)
    found = flow(chain, point, x @ x.T / 7)
    theory = rgflow.initialization_theory(network, x, ("K", "Theta"))
    assert np.allclose(found.K, theory["K"], rtol=1e-9)
    parts = found.contributions(np.array(network.lambda_b), np.array(network.lambda_W))
    assert np.allclose(parts.sum(axis=0), theory["Theta"][-1], rtol=1e-8)


def test_flow_with_skip_connections_is_that_of_the_library() -> None:
    x = np.random.default_rng(0).standard_normal((3, 7))
    network = rgflow.Network("tanh", (7, 5, 5, 5), 0.1, 0.9, 0.3, 0.8, xi_1=1.0, xi_2=0.7)
    chain = Chain(network.widths, network.activations, (0.0, 0.7, 0.7), (True,) * 3)
    found = flow(chain, Point(network.C_b, network.C_W), x @ x.T / 7)
    theory = rgflow.initialization_theory(network, x, ("K", "Theta"))
    assert np.allclose(found.K, theory["K"], rtol=1e-9)
    parts = found.contributions(np.array(network.lambda_b), np.array(network.lambda_W))
    assert np.allclose(parts.sum(axis=0), theory["Theta"][-1], rtol=1e-8)
    assert chain.residual_network(Point(network.C_b, network.C_W)).xi_2 == 0.7


def test_a_kernel_that_explodes_is_named_with_its_layer() -> None:
    chain = Chain((3, *(4,) * 400, 1), (rgflow.activation("relu"),) * 400, (0.0,) * 401, (True,) * 401)
    with pytest.raises(rgflow.RgflowError, match=r"layer 100.*grows beyond all bounds"):
        flow(chain, Point((0.0,) * 401, (20.0,) * 401), np.ones((1, 1)))
