"""Networks whose layers have different activations, in every calculation, against independent routes."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from dense_reference import dense_theory

import rgflow
from rgflow.activations.layers import LayerActivations
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.criticality.flow import midpoint_flow, pair_flow
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.initialization.exact import exact_theory
from rgflow.theory.initialization.tensors import RECURSIONS
from rgflow.theory.learning.output import output_kernels
from rgflow.training.chunk import Chunk
from rgflow.training.spec import TrainingSpec

INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
MIXED = Network(
    ["tanh", "gelu", "sin"], (3, 6, 9, 5, 4), [0.1, 0.2, 0.1, 0.3], [1.2, 1.5, 0.9, 1.1], [0.3, 0.1, 0.2, 0.4], 0.7
)


def test_every_layer_has_its_own() -> None:
    assert [sigma.label for sigma in MIXED.activations] == ["tanh", "gelu", "sin"]
    assert MIXED.activation_of(3).label == "sin"
    assert MIXED.activation.label == "tanh, gelu, sin"
    assert replace(MIXED, C_b=0.0).activations == MIXED.activations
    assert pickle.loads(pickle.dumps(MIXED)) == MIXED
    assert "0x" not in repr(Network([torch.tanh, torch.nn.functional.softsign], (1, 2, 3, 1), 0, 1))


def test_equal_activations_are_one() -> None:
    listed = Network(["relu", torch.relu, torch.nn.ReLU()], (3, 4, 4, 4, 1), 0, 2)
    assert listed == Network("relu", (3, 4, 4, 4, 1), 0, 2)
    assert hash(listed) == hash(Network("relu", (3, 4, 4, 4, 1), 0, 2))
    assert replace(MIXED, activation=["tanh", "sin", "gelu"]) != MIXED


@pytest.mark.parametrize("names", [["relu"], ["relu", "tanh", "gelu"], []])
def test_one_for_each_hidden_layer(names: list[str]) -> None:
    with pytest.raises(RgflowError, match=f"activation has {len(names)} values for 2 hidden layers"):
        Network(names, (3, 4, 4, 1), 0, 2)


def test_what_needs_one_activation_says_so() -> None:
    assert isinstance(MIXED.activation, LayerActivations)
    for use in (
        lambda s: s(0.0),
        lambda s: s.kinks,
        lambda s: s.slopes,
        rgflow.critical,
        lambda s: s.derivatives(0, 1),
    ):
        with pytest.raises(RgflowError, match=r"different activations \(tanh, gelu, sin\)"):
            use(MIXED.activation)
    with pytest.raises(RgflowError, match="activation = relu; the dNTK needs one without kinks"):
        rgflow.dntk_theory(replace(MIXED, activation=["tanh", "relu", "sin"]), INPUTS)


def test_theory_is_that_of_a_dense_grid() -> None:
    theory, reference = rgflow.initialization_theory(MIXED, INPUTS).isel(layer=-1), dense_theory(MIXED, INPUTS)
    for name in RECURSIONS:
        np.testing.assert_allclose(theory[name], reference[name], rtol=1e-7, atol=1e-8, err_msg=name)


def test_routes_to_the_same_kernels_agree() -> None:
    theory = rgflow.initialization_theory(MIXED, INPUTS)
    K, Theta = output_kernels(MIXED, INPUTS)
    wide = rgflow.infinite_width_theory(MIXED, INPUTS)
    for name, value in {"K": K, "Theta": Theta}.items():
        np.testing.assert_allclose(value, theory[name][-1], rtol=1e-9)
        np.testing.assert_allclose(wide[name], theory[name][-1], rtol=1e-8)
    np.testing.assert_allclose(pair_flow(MIXED, theory["K"][0]), theory["K"], rtol=1e-9)
    close = np.array([INPUTS[0] - 1e-4 * INPUTS[1], INPUTS[0] + 1e-4 * INPUTS[1]])
    K = rgflow.initialization_theory(MIXED, close, ["K"], rtol=1e-12)["K"].values
    first = [MIXED.C_b[0] + MIXED.C_W[0] * INPUTS[0] @ INPUTS[0] / 3, 0.0, 0.0]
    np.testing.assert_allclose(midpoint_flow(MIXED, first)[:, 0], K.mean((1, 2)), rtol=1e-6)


def test_one_input_is_that_of_many() -> None:
    one = single_input_theory(MIXED, INPUTS[0] @ INPUTS[0] / 3)
    theory = rgflow.initialization_theory(MIXED, INPUTS[:1])
    for name in RECURSIONS:
        np.testing.assert_allclose(one[name], theory[name].values.reshape(4), rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("sampler", ["marginal", "weights"])
def test_exact_laws_are_those_of_samples(sampler: str) -> None:
    network = replace(MIXED, activation=["relu", "linear", "leaky_relu"])
    exact = exact_theory(network, INPUTS[:1])
    tensors = ("K", "Theta", "V", "D", "F", "A", "B")
    sampled = rgflow.sample_initialization(
        network, INPUTS[:1], members=20_000, seed=1, tensors=tensors, sampler=sampler
    )
    for name in tensors:
        z = (sampled[name] - exact[name])[1:] / sampled[f"{name}_stderr"][1:]
        assert float(abs(z).max()) < 4.5, name


@pytest.mark.parametrize("inputs", [2, 8])
def test_samplers_agree(inputs: int) -> None:
    """Eight inputs take the sampled backward passes, two the closed form of their mean."""
    network = replace(MIXED, activation=["relu", "gelu", "tanh"])
    x = np.random.default_rng(0).normal(size=(inputs, 3))
    one, other = (
        rgflow.sample_initialization(network, x, members=8_000, seed=2, tensors=("K", "Theta"), sampler=sampler)
        for sampler in ("marginal", "weights")
    )
    for name in ("K", "Theta"):
        scale = np.hypot(one[f"{name}_stderr"], other[f"{name}_stderr"])[1:]
        assert float(abs((one[name] - other[name])[1:] / scale).max()) < 4.5


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # of torch's own rules
def test_sampled_dntk_is_that_of_theory() -> None:
    """At n = 24 the next order is about a tenth; the activations exchanged give half or twice as much."""
    network = Network(["sin", "gelu"], (3, 24, 24, 2), 0.1, 1.1, 0.3, 0.8)
    theory, exchanged = (
        rgflow.dntk_theory(replace(network, activation=names), INPUTS[:1]).isel(layer=-1).squeeze()
        for names in (["sin", "gelu"], ["gelu", "sin"])
    )
    sampled = rgflow.sample_dntk(network, INPUTS[:1], members=2000, seed=4).squeeze()
    for name in "PQRSTU":
        assert abs(float(sampled[name] / theory[name]) - 1) < 0.15, name
    assert all(abs(float(exchanged[name] / theory[name]) - 1) > 0.4 for name in "PQRTU")


def test_training_is_that_of_a_torch_module() -> None:
    network = Network([torch.nn.functional.silu, torch.tanh], (3, 5, 4, 2), 0.1, 1.3, 0.4, 0.8)
    rng = np.random.default_rng(5)
    task = Task(*(rng.normal(size=shape) for shape in [(5, 3), (5, 2), (4, 3)]))
    spec = TrainingSpec(seed=1, learning_rate=0.05, steps=(0, 6), dtype="float64")
    chunk = Chunk(network, task, spec, 0, torch.device("cpu"))
    linear = [torch.nn.Linear(a, b, dtype=torch.float64) for a, b in ((3, 5), (5, 4), (4, 2))]
    with torch.no_grad():
        for layer, weight, bias in zip(linear, chunk.parameters.weights, chunk.parameters.biases, strict=True):
            layer.weight.copy_(weight[0])
            layer.bias.copy_(bias[0, 0])
    module = torch.nn.Sequential(linear[0], torch.nn.SiLU(), linear[1], torch.nn.Tanh(), linear[2])
    groups = [
        {"params": [parameter], "lr": 0.05 * rate}
        for layer in linear
        for parameter, rate in ((layer.weight, 0.8 / layer.in_features), (layer.bias, 0.4))
    ]
    optimizer, x, y = torch.optim.SGD(groups), torch.as_tensor(task.train_inputs), torch.as_tensor(task.train_targets)
    for _ in range(6):
        optimizer.zero_grad()
        (0.5 * (module(x) - y).square().sum()).backward()
        optimizer.step()
    trained = chunk.train().predictions[0, 1]
    np.testing.assert_allclose(trained, module(torch.as_tensor(task.inputs)).detach(), rtol=1e-10)
