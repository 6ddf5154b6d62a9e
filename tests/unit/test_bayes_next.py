"""Inference to order 1/n: against the perturbed prior differentiated numerically, term by term; errors against accuracy."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch.func import hessian, jacfwd, jacrev

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.finite_width import tensor_randomizations
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.bayes import bayes_theory, condition_next
from rgflow.theory.learning.evidence import evidence_map
from rgflow.theory.learning.linear_posterior import linear_posterior
from rgflow.variables.library import library

TRAIN, OUTPUTS = 2, 2
NETWORKS = {
    "smooth": Network("gelu", (3, 16, 8, 12, OUTPUTS), 0.1, 1.3),
    "kinked": Network("relu", (3, 8, 8, OUTPUTS), (0.1, 0.2, 0.3), (1.0, 1.5, 2.0)),
    "kinked and bounded": Network("hard_tanh", (3, 8, 8, OUTPUTS), 0.2, 1.5),
}


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    shapes = {"train_inputs": (TRAIN, 3), "train_targets": (TRAIN, OUTPUTS), "test_inputs": (2, 3)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def slow_posterior(T: xr.Dataset, targets: np.ndarray, noise: float) -> dict[str, np.ndarray]:
    """Coefficients of 1/n: Z(y, J) = int dz e^(J z) [1 + (V d^4/8 + G1 d^2/2)/n] N(y, z; 0, Sigma), differentiated automatically.

    x = (y, z): noisy train targets, then noiseless outputs at all samples, each with all output components and one more that
    has no data: its variance is the kernel of the hidden layer. A derivative of the prior becomes one in a shift s of x,
    int dz e^(J z) N(x + s) = N(y + s_y) e^(J m(y + s_y) + J C J/2 - J s_z).
    """
    K, G1, V = (T[name].isel(layer=-1).values for name in ("K", "G1", "V"))
    outputs = targets.shape[1]
    labels = [(i, a, True) for i in range(outputs) for a in range(len(targets))]
    labels += [(i, a, False) for i in range(outputs + 1) for a in range(len(K))]
    known, size = outputs * len(targets), len(labels)

    def fill(value: Any) -> torch.Tensor:
        return torch.tensor([[value(p, q) for q in labels] for p in labels], dtype=torch.float64)

    prior = fill(lambda p, q: (p[0] == q[0]) * (K[p[1], q[1]] + noise * (p == q and p[2])))
    two = fill(lambda p, q: (p[0] == q[0]) * G1[p[1], q[1]] / 2)
    four = torch.zeros((size,) * 4, dtype=torch.float64)
    for index in product(range(size), repeat=4):
        (i, a, _), (j, b, _), (k, c, _), (m, d, _) = (labels[p] for p in index)
        if i == j and k == m:
            four[index] = V[a, b, c, d] / 8
    y = torch.tensor(targets.T.reshape(-1))
    inverse = torch.linalg.inv(prior[:known, :known])
    gain = prior[known:, :known] @ inverse
    C = prior[known:, known:] - gain @ prior[:known, known:]

    def ratio(J: torch.Tensor) -> torch.Tensor:
        def shifted(s: torch.Tensor) -> torch.Tensor:
            at = y + s[:known]
            log = -at @ inverse @ at / 2 + J @ gain @ at - J @ s[known:]
            return torch.exp(log - (-y @ inverse @ y / 2 + J @ gain @ y))

        zero = torch.zeros(size, dtype=torch.float64)
        second = jacfwd(jacfwd(shifted))
        return (two * second(zero)).sum() + (four * jacfwd(jacfwd(second))(zero)).sum()

    none = torch.zeros(len(C), dtype=torch.float64)
    mean = jacrev(ratio)(none).numpy().reshape(outputs + 1, len(K))
    covariance = hessian(ratio)(none).numpy().reshape(outputs + 1, len(K), outputs + 1, len(K)).transpose(0, 2, 1, 3)
    return {
        "log_evidence1": ratio(none).numpy(),
        "posterior_mean1": mean[:outputs].T,
        "posterior_covariance1": covariance[:outputs, :outputs],
        "hidden_kernel1": covariance[outputs, outputs],
    }


@cache
def tensors(name: str, inputs: bytes, rtol: float = 1e-10) -> xr.Dataset:
    return initialization_theory(NETWORKS[name], np.frombuffer(inputs).reshape(-1, 3), ("K", "G1", "V"), rtol)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch.func's own
@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_perturbed_prior_gives_the_same(data: dict[str, np.ndarray], name: str, noise: float) -> None:
    found = bayes_theory(NETWORKS[name], **data, noise=noise)
    expected = slow_posterior(tensors(name, Task(**data).inputs.tobytes()), data["train_targets"], noise)
    for quantity, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(found[quantity], value, rtol=1e-9, atol=1e-10 * scale, err_msg=quantity)


@pytest.mark.parametrize("name", NETWORKS)
def test_both_orders_agree_and_parts_add_up(data: dict[str, np.ndarray], name: str) -> None:
    leading, found = (bayes_theory(NETWORKS[name], **data, noise=0.1, order=order) for order in ("leading", "next"))
    for quantity in leading:
        np.testing.assert_allclose(found[quantity], leading[quantity], rtol=1e-8, atol=1e-9, err_msg=str(quantity))
    for quantity in ("posterior_mean1", "log_evidence1"):
        parts = found[f"{quantity}_metric"] + found[f"{quantity}_vertex"]
        np.testing.assert_allclose(found[quantity], parts, rtol=1e-12)
    of_each = found["posterior_covariance1_metric"] + found["posterior_covariance1_vertex"]
    rest = found["posterior_covariance1"] - found["posterior_covariance1_hebbian"]
    np.testing.assert_allclose(rest, np.eye(OUTPUTS)[:, :, None, None] * of_each.values, atol=1e-12)
    parts = sum(found[f"preactivation_kernel1_{part}"] for part in ("prior", "same", "other"))
    np.testing.assert_allclose(found["preactivation_kernel1"], parts, rtol=1e-12)


def test_without_noise_finite_width_too_passes_through_the_train_targets(data: dict[str, np.ndarray]) -> None:
    found = bayes_theory(NETWORKS["smooth"], **data)
    assert abs(found["posterior_mean1"].values[:TRAIN]).max() < 1e-9
    assert abs(found["posterior_covariance1"].values[:, :, :TRAIN]).max() < 1e-8
    assert abs(found["posterior_covariance1"].values[0, 1]).max() > 1e-3


def test_a_neuron_learns_what_its_gaussian_averages_say(data: dict[str, np.ndarray]) -> None:
    """<z_a z_b s_c s_d> on nodes for three inputs, and the response of <s_c s_d> to K by finite differences."""
    network = NETWORKS["smooth"]
    data = {**data, "test_inputs": data["test_inputs"][:1]}
    found = bayes_theory(network, **data, noise=0.2)
    T = initialization_theory(network, Task(**data).inputs, ("K", "G1", "V")).sel(layer=network.depth - 1)
    K, V, rho, C_W = T["K"].values, T["V"].values, network.ratio(network.depth - 1), network.C_W[-1]
    v = np.linalg.solve(found["K_output"].values[:TRAIN, :TRAIN] + 0.2 * np.eye(TRAIN), data["train_targets"])
    Y = v @ v.T - OUTPUTS * np.linalg.inv(found["K_output"].values[:TRAIN, :TRAIN] + 0.2 * np.eye(TRAIN))

    def activity(K: np.ndarray, *factors: int) -> float:
        u, w = np.polynomial.hermite_e.hermegauss(40)
        grid = np.stack(np.meshgrid(u, u, u, indexing="ij"))
        z = np.tensordot(np.linalg.cholesky(K), grid, axes=1)
        s = network.activation(z)[:TRAIN]
        value = np.einsum("a...,ab,b...->...", s, Y, s) * np.prod([z[a] for a in factors], axis=0)
        return float(np.einsum("ijk,i,j,k->", value, w, w, w) / (2 * np.pi) ** 1.5)

    same, other = np.empty((3, 3)), np.empty((3, 3))
    for a, b in product(range(3), repeat=2):
        same[a, b] = C_W / 2 * (activity(K, a, b) - K[a, b] * activity(K))
        step = 1e-4 * V[a, b]
        other[a, b] = C_W / 2 * rho * (activity(K + step) - activity(K - step)) / 2e-4
    np.testing.assert_allclose(found["preactivation_kernel1_same"], same, rtol=1e-8)
    np.testing.assert_allclose(found["preactivation_kernel1_other"], other, rtol=1e-6)
    np.testing.assert_allclose(found["preactivation_kernel1_prior"], rho * T["G1"], rtol=1e-12)


def test_linear_neurons_and_the_kernel_they_feed_learn_the_same(data: dict[str, np.ndarray]) -> None:
    found = bayes_theory(Network("linear", (3, 6, 8, 4, OUTPUTS), 0.3, 1.2), **data, noise=0.1)
    np.testing.assert_allclose(1.2 * found["preactivation_kernel1"], found["hidden_kernel1"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(0.3 + 1.2 * found["preactivation_kernel"], found["hidden_kernel"], rtol=1e-12)


def test_log_weights_vary_as_the_gradient_of_the_evidence_says(data: dict[str, np.ndarray]) -> None:
    network = NETWORKS["smooth"]
    found = bayes_theory(network, **data, noise=0.2)
    T = tensors("smooth", Task(**data).inputs.tobytes()).isel(
        layer=-1, **{f"sample_{leg}": slice(TRAIN) for leg in (1, 2, 3, 4)}
    )

    def log_weight(K: np.ndarray) -> float:
        noisy = K + 0.2 * np.eye(TRAIN)
        fit = np.sum(data["train_targets"] * np.linalg.solve(noisy, data["train_targets"]))
        return float(-fit / 2 - OUTPUTS / 2 * np.linalg.slogdet(noisy)[1])

    shifts = 1e-5 * np.eye(TRAIN**2).reshape(TRAIN, TRAIN, TRAIN, TRAIN)
    gradient = (
        np.array([[log_weight(T["K"].values + s) - log_weight(T["K"].values - s) for s in row] for row in shifts])
        / 2e-5
    )
    c = np.einsum("ab,abcd,cd", gradient, T["V"], gradient)
    assert float(found["log_weight_variance"]) == pytest.approx(c, rel=1e-7)
    assert float(found["effective_sample_fraction"]) == pytest.approx(np.exp(-c / 12), rel=1e-7)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_errors_bound_what_more_accurate_averages_change(data: dict[str, np.ndarray], noise: float) -> None:
    task, network = Task(**data), NETWORKS["smooth"]
    coarse, fine = (
        condition_next(network, task, noise, [tensors("smooth", task.inputs.tobytes(), rtol)]) for rtol in (1e-4, 1e-11)
    )
    moved = 0.0
    for name in coarse:
        if f"{name}_error" in coarse:
            change, bound = abs(coarse[name] - fine[name]), coarse[f"{name}_error"]
            assert (change <= bound).all(), name
            moved = max(moved, float(change.max()))
    assert moved > 1e-9
    assert float(fine["log_evidence1_error"]) < 1e-6


def test_a_network_without_hidden_layer_is_exact_at_infinite_width(data: dict[str, np.ndarray]) -> None:
    found = bayes_theory(Network("tanh", (3, OUTPUTS), 0.2, 1.0), **data, noise=0.1)
    for quantity in (
        "posterior_mean1",
        "posterior_covariance1",
        "log_evidence1",
        "hidden_kernel1",
        "log_weight_variance",
    ):
        assert not found[quantity].any()
    assert "preactivation_kernel" not in found


def test_every_variable_is_registered(data: dict[str, np.ndarray]) -> None:
    library().validate(bayes_theory(NETWORKS["smooth"], **data, noise=0.1), "here")
    library().validate(linear_posterior(Network("linear", (3, 4, OUTPUTS), 0.1, 1.0), **data, noise=0.5), "here")
    grid = {"C_b": [0.1], "C_W": [1.0], "depth": [2]}
    library().validate(evidence_map("relu", data["train_inputs"], data["train_targets"], **grid, noise=0.1), "here")


def test_residual_networks_are_refused_beyond_infinite_width(data: dict[str, np.ndarray]) -> None:
    with pytest.raises(RgflowError, match='Bayesian inference to order "next" needs a plain network'):
        bayes_theory(Network("tanh", (3, 2, 2, OUTPUTS), 0.1, 1.0, xi_2=0.5), **data)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_many_samples_come_with_the_scatter_of_their_nodes(activation: str) -> None:
    """Four train samples and one more, certified, and from the eight sets of nodes that many samples get."""
    rng = np.random.default_rng(6)
    task = Task(rng.normal(size=(4, 3)), rng.normal(size=(4, OUTPUTS)), rng.normal(size=(1, 3)))
    network, tensors = Network(activation, (3, 16, 8, 12, OUTPUTS), 0.1, 1.3), ("K", "G1", "V")
    certified = condition_next(network, task, 0.3, [initialization_theory(network, task.inputs, tensors)])
    nodes = tensor_randomizations(network, task.inputs, tensors, layer="all", nodes=2**12)
    sampled = condition_next(network, task, 0.3, nodes)
    for quantity in ("posterior_mean", "posterior_covariance", "log_evidence", "hidden_kernel", "preactivation_kernel"):
        exact, found, error = (
            of[f"{quantity}1{end}"] for of, end in ((certified, ""), (sampled, ""), (sampled, "_error"))
        )
        assert float((abs(found - exact) / (error + certified[f"{quantity}1_error"])).max()) < 5.0, quantity
        assert 1e-7 < float((error / abs(exact).max()).max()) < 0.2, quantity


def test_large_preactivations_are_averaged_on_nodes() -> None:
    """Beyond what quadrature takes seconds for: the nodes' estimate agrees with it within its stated error."""
    inputs = np.random.default_rng(7).normal(size=(3, 3))
    task, network = Task(inputs, np.ones((3, 1)), inputs), Network("gelu", (3, *(8,) * 5, 1), 0.1, 4.0)
    deviation = np.sqrt(initialization_theory(network, inputs, ("K",))["K"].isel(layer=-2).max())
    assert deviation > 2.0 * network.activation.quadrature_radius
    sampled = bayes_theory(network, task.train_inputs, task.train_targets, inputs, noise=0.3)
    assert float(sampled["log_evidence1_error"]) > 0.0
    certified = bayes_theory(network, task.train_inputs, task.train_targets, inputs, noise=0.3, nodes=0)
    error = sampled["log_evidence1_error"]
    assert abs(float(sampled["log_evidence1"] - certified["log_evidence1"])) < 5.0 * float(error)
    assert float(error) > 10.0 * float(certified["log_evidence1_error"])
