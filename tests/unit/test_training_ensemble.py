"""Trained members against torch modules, the split into blocks, and the messages users see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.training import chunk as chunk_module
from rgflow.training.batches import mini_batches
from rgflow.training.chunk import Chunk, members_per_chunk
from rgflow.training.combine import combine_training
from rgflow.training.ensemble import train_block, train_ensemble
from rgflow.training.ntk import empirical_ntk
from rgflow.training.spec import TrainingSpec

NETWORK = Network(
    "gelu", (3, 6, 5, 2), C_b=(0.1, 0.2, 0.3), C_W=(1.5, 2.0, 1.1), lambda_b=(0.3, 0.0, 0.7), lambda_W=(1.0, 2.0, 0.5)
)
SPEC = TrainingSpec(
    seed=3, learning_rate=0.05, steps=(0, 1, 4, 9), dtype="float64", ntk_steps=(0, 9), group=1, members=6
)


@pytest.fixture
def task() -> Task:
    rng = np.random.default_rng(5)
    return Task(*(rng.normal(size=shape) for shape in [(5, 3), (5, 2), (4, 3), (4, 2)]))


@pytest.fixture
def classes(task: Task) -> Task:
    """The same inputs with one-hot targets."""
    return Task(task.train_inputs, np.eye(2)[[0, 1, 1, 0, 1]], task.test_inputs, np.eye(2)[[0, 0, 1, 1]])


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_module, "_LARGEST_CHUNK", 4)


class Module(torch.nn.Module):
    """The ordinary torch network with the parameters of one member."""

    def __init__(self, network: Network, chunk: Chunk, member: int) -> None:
        super().__init__()
        self.network = network
        weights, biases = chunk.parameters.weights, chunk.parameters.biases
        self.weights = torch.nn.ParameterList(weight[member].clone() for weight in weights)
        self.biases = torch.nn.ParameterList(bias[member, 0].clone() for bias in biases)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        signal = x
        for weight, bias in zip(self.weights, self.biases, strict=True):
            z = signal @ weight.T + bias
            signal = torch.nn.functional.gelu(z)
        return z

    def groups(self, learning_rate: float) -> list[dict[str, object]]:
        """One optimizer group per parameter, with the rates of the learning-rate tensor."""
        rates = [rate / n_in for rate, n_in in zip(self.network.lambda_W, self.network.widths, strict=False)]
        pairs = [*zip(self.weights, rates, strict=True), *zip(self.biases, self.network.lambda_b, strict=True)]
        return [{"params": [parameter], "lr": learning_rate * rate} for parameter, rate in pairs]


def torch_loss(loss: str, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    if loss == "mse":
        return 0.5 * (z - y).square().sum()
    return torch.nn.functional.cross_entropy(z, y, reduction="sum")


def train_module(module: Module, optimizer: torch.optim.Optimizer, task: Task, loss: str) -> list[np.ndarray]:
    """Predictions of all samples at the recorded steps, by autograd."""
    x, y, everything = map(torch.as_tensor, (task.train_inputs, task.train_targets, task.inputs))
    predictions = []
    for step in range(SPEC.steps[-1] + 1):
        if step in SPEC.steps:
            predictions.append(module(everything).detach().numpy())
        optimizer.zero_grad()
        torch_loss(loss, module(x), y).backward()
        optimizer.step()
    return predictions


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({}, torch.optim.SGD),
        ({"momentum": 0.7}, partial(torch.optim.SGD, momentum=0.7)),
        ({"optimizer": "adam"}, torch.optim.Adam),
    ],
)
def test_members_train_as_torch_modules_do(
    classes: Task, loss: str, settings: dict[str, Any], optimizer: Callable[..., torch.optim.Optimizer]
) -> None:
    spec = replace(SPEC, loss=loss, **settings)
    block = train_block(NETWORK, classes, spec, range(6))
    for member in (0, 5):
        module = Module(NETWORK, Chunk(NETWORK, classes, spec, 0, torch.device("cpu")), member)
        expected = train_module(module, optimizer(module.groups(spec.learning_rate)), classes, loss)
        np.testing.assert_allclose(block["prediction"].sel(member=member), expected, rtol=1e-10, atol=1e-12)
    assert abs(block["prediction"][:, -1] - block["prediction"][:, 0]).min() > 1e-5


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_recorded_losses_are_sums_over_samples(classes: Task, loss: str) -> None:
    block = train_block(NETWORK, classes, replace(SPEC, loss=loss), range(3))
    z = torch.as_tensor(block["prediction"].values[2, 1])
    train, test = torch.as_tensor(classes.train_targets), torch.as_tensor(classes.test_targets)
    assert block["mean_train_loss"].values[2, 1] == pytest.approx(torch_loss(loss, z[:5], train).item(), rel=1e-12)
    assert block["mean_test_loss"].values[2, 1] == pytest.approx(torch_loss(loss, z[5:], test).item(), rel=1e-12)


def test_ntk_equals_the_contraction_of_jacobians(task: Task) -> None:
    chunk = Chunk(NETWORK, task, SPEC, 0, torch.device("cpu"))
    module = Module(NETWORK, chunk, 2)
    parameters = dict(module.named_parameters())

    def output(values: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(module, values, (torch.as_tensor(task.inputs),))

    expected = np.zeros((2, 2, 9, 9))
    for name, jacobian in torch.func.jacrev(output)(parameters).items():
        kind, layer = name.split(".")
        at = int(layer)
        rate = NETWORK.lambda_b[at] if kind == "biases" else NETWORK.lambda_W[at] / NETWORK.widths[at]
        flat = jacobian.detach().flatten(2).numpy()
        expected += rate * np.einsum("aip,bjp->ijab", flat, flat)
    H = empirical_ntk(NETWORK, chunk.parameters, chunk.inputs)[2]
    np.testing.assert_allclose(H, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(empirical_ntk(NETWORK, chunk.parameters, chunk.inputs, outputs=1)[2, 0, 0], H[0, 0])


def test_ntk_is_recorded_at_its_steps_and_samples(task: Task) -> None:
    everything = train_block(NETWORK, task, SPEC, range(3))
    some = train_block(NETWORK, task, replace(SPEC, ntk_steps=[4], ntk_samples=[7, 1]), range(3))
    assert everything["mean_NTK"].dims == ("group", "ntk_step", "ntk_sample_1", "ntk_sample_2")
    assert some["mean_NTK"].shape == (3, 1, 2, 2)
    at_4 = train_block(NETWORK, task, replace(SPEC, ntk_steps=(4,)), range(3))["mean_NTK"]
    xr.testing.assert_allclose(some["mean_NTK"], at_4.sel(ntk_sample_1=[7, 1], ntk_sample_2=[7, 1]))
    assert abs(at_4.values - everything["mean_NTK"].values[:, :1]).max() > 1e-3


def test_hidden_metrics_and_their_change_are_those_of_the_signals(task: Task) -> None:
    spec = replace(SPEC, kernel_steps="ends")
    block = train_block(NETWORK, task, spec, range(4))
    chunk = Chunk(NETWORK, task, spec, 0, torch.device("cpu"))
    kernels, updates = [], chunk._updates()
    for _ in range(2):
        signal, made = torch.as_tensor(task.inputs), []
        for layer, (weight, bias) in enumerate(zip(chunk.parameters.weights, chunk.parameters.biases, strict=True)):
            z = signal @ weight[3].T + bias[3, 0]
            signal = torch.nn.functional.gelu(z)
            if layer < 2:
                C_b, C_W, n = NETWORK.C_b[layer + 1], NETWORK.C_W[layer + 1], NETWORK.widths[layer + 1]
                made.append(C_b + C_W / n * (signal @ signal.T))
        kernels.append(torch.stack(made).numpy())
        for _ in range(spec.recorded[-1]):
            next(updates)
    assert block["layer"].values.tolist() == [2, 3]
    np.testing.assert_allclose(block["mean_metric"].values[3], kernels, rtol=1e-12)
    change = block["mean_metric_change"].values[3]
    np.testing.assert_allclose(change[1], kernels[1] - kernels[0], rtol=1e-9, atol=1e-14)
    assert not change[0].any()
    assert abs(change[1]).max() > 1e-3


def test_the_ntk_predicts_a_small_step(task: Task) -> None:
    network = Network("tanh", (3, 6, 5, 1), 0.1, 1.0, lambda_b=0.5, lambda_W=1.0)
    one_output = Task(task.train_inputs, task.train_targets[:, :1], task.test_inputs)
    spec = TrainingSpec(seed=1, learning_rate=1e-6, steps=(0, 1), dtype="float64", ntk_steps=(0,), group=1)
    block = train_block(network, one_output, spec, range(4))
    before, after = block["prediction"].values[..., 0].swapaxes(0, 1)
    error = before[:, :5] - one_output.train_targets[:, 0]
    predicted = -spec.learning_rate * np.einsum("mab,mb->ma", block["mean_NTK"].values[:, 0, :, :5], error)
    np.testing.assert_allclose(after - before, predicted, rtol=1e-4, atol=1e-10)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("changes", [{}, {"batch_size": 2}, {"dtype": "float32", "optimizer": "adam"}])
def test_any_split_into_blocks_gives_the_same_bits(task: Task, changes: dict[str, object]) -> None:
    spec = replace(SPEC, **changes)
    whole = combine_training([train_block(NETWORK, task, spec, range(11))])
    blocks = [train_block(NETWORK, task, spec, members) for members in (range(9, 11), range(3), range(3, 9))]
    xr.testing.assert_identical(combine_training(blocks), whole)


@pytest.mark.usefixtures("small_chunks")
def test_a_larger_ensemble_keeps_its_first_members(task: Task) -> None:
    small, large = (train_block(NETWORK, task, SPEC, range(members)) for members in (5, 14))
    xr.testing.assert_identical(large.isel(member=range(5), group=range(5)), small)


def test_members_seeds_and_networks_differ(task: Task) -> None:
    def first(network: Network, seed: int) -> np.ndarray:
        spec = TrainingSpec(seed=seed, learning_rate=0.05, steps=(0,))
        return train_block(network, task, spec, range(2))["prediction"].values[:, 0, 0, 0]

    wider = Network("gelu", (3, 6, 6, 2), NETWORK.C_b, NETWORK.C_W)
    values = np.concatenate([first(NETWORK, 3), first(NETWORK, 4), first(wider, 3)])
    assert len(np.unique(values)) == 6


def test_ways_to_train_start_from_the_same_networks(task: Task) -> None:
    slow = Network("gelu", NETWORK.widths, NETWORK.C_b, NETWORK.C_W, lambda_b=0.1, lambda_W=0.1)
    starts = [train_block(net, task, SPEC, range(3))["prediction"].sel(step=0) for net in (NETWORK, slow)]
    xr.testing.assert_identical(*starts)


def test_the_chunk_shrinks_with_the_networks() -> None:
    sizes = [members_per_chunk(Network("relu", (64, n, n, n, 1), 0, 2), 24) for n in (16, 64, 256, 4096)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (128, 2)


def test_an_epoch_of_mini_batches_visits_every_sample_once_in_an_order_of_each_member() -> None:
    samples = torch.arange(7.0)[:, None]
    batches = mini_batches(samples, -samples, 3, 3, torch.Generator().manual_seed(1))
    epochs = [[next(batches) for _ in range(3)] for _ in range(2)]
    orders = [torch.cat([inputs[:, :, 0] for inputs, _ in epoch], dim=1) for epoch in epochs]
    assert [inputs.shape[1] for inputs, _ in epochs[0]] == [3, 3, 1]
    for order in orders:
        assert (order.sort(dim=1).values == samples[:, 0]).all()
    assert len(torch.unique(torch.cat(orders), dim=0)) == 6
    assert all((targets == -inputs).all() for epoch in epochs for inputs, targets in epoch)


def test_mini_batches_train_as_a_loop_over_them(task: Task) -> None:
    spec = replace(SPEC, batch_size=2)
    block = train_block(NETWORK, task, spec, range(3))
    chunk = Chunk(NETWORK, task, spec, 0, torch.device("cpu"))
    module, batches = Module(NETWORK, chunk, 1), chunk._batches()
    optimizer = torch.optim.SGD(module.groups(spec.learning_rate))
    for _ in range(spec.steps[-1]):
        inputs, targets = next(batches)
        optimizer.zero_grad()
        torch_loss("mse", module(inputs[1]), targets[1]).backward()
        optimizer.step()
    expected = module(torch.as_tensor(task.inputs)).detach().numpy()
    np.testing.assert_allclose(block["prediction"].values[1, -1], expected, rtol=1e-10)


def test_float32_is_float64_up_to_rounding(task: Task) -> None:
    single = train_block(NETWORK, task, replace(SPEC, dtype="float32"), range(3))
    assert single["prediction"].dtype == np.float32
    assert single["mean_train_loss"].dtype == np.float64


def test_train_ensemble_is_the_public_form_of_blocks(task: Task) -> None:
    result = train_ensemble(
        NETWORK,
        task.train_inputs,
        task.train_targets,
        task.test_inputs,
        members=4,
        group=1,
        test_targets=task.test_targets,
        seed=3,
        learning_rate=0.05,
        steps=[0, 1, 4, 9],
        dtype="float64",
        ntk_steps=[0, 9],
    )
    xr.testing.assert_identical(result, combine_training([train_block(NETWORK, task, SPEC, range(4))]))


@pytest.mark.usefixtures("small_chunks")
def test_progress_counts_chunks(task: Task) -> None:
    calls: list[tuple[int, int]] = []
    train_block(NETWORK, task, SPEC, range(2, 11), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_divergence_names_layer_member_step_and_the_stability_limit(task: Task) -> None:
    spec = TrainingSpec(seed=0, learning_rate=1e3, steps=(0, 10, 200), group=1)
    with pytest.raises(
        RgflowError, match=r"z at layer 1 of member 0 by step 10: .*stability limit 2/theta_max = 0\.\d+"
    ):
        train_block(NETWORK, task, spec, range(3))


def test_overflow_at_initialization_names_its_layer(task: Task) -> None:
    network = Network("relu", (3, 8, 8, 8, 2), 0.0, (1.0, 1e60, 1e60, 1.0))
    with pytest.raises(RgflowError, match="z at layer 3 of member 0 at initialization"):
        train_block(network, task, TrainingSpec(seed=0, learning_rate=0.1, steps=(0, 1), group=1), range(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "mae"}, "loss = 'mae'; it must be 'mse' or 'cross_entropy'"),
        ({"optimizer": "lion"}, "optimizer = 'lion'"),
        ({"dtype": "float16"}, "dtype = 'float16'"),
        ({"learning_rate": 0.0}, "learning_rate = 0.0; it must be greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"steps": (1, 2)}, r"steps = \[1, 2\]; they must increase strictly and start at 0"),
        ({"steps": (0, 2, 2)}, "must increase strictly"),
        ({"steps": (0, 1.5)}, "must be a valid integer"),
        ({"steps": 0}, "steps = 0; it must be greater than 0"),
        ({"steps": True}, "steps = True; it must be a number or a name, not a truth value"),
        ({"antithetic": "perhaps"}, "antithetic = 'perhaps'"),
        ({"momentum": 1.0}, "momentum = 1.0; it must be less than 1"),
        ({"momentum": 0.5, "optimizer": "adam"}, "momentum = 0.5; it goes with optimizer = 'gd', not 'adam'"),
        ({"group": 3}, "group = 3; it must be a power of 2"),
        ({"antithetic": True}, "group = 1; it must be a power of 2, at least 2 with antithetic networks"),
        ({"members": 7, "group": 2}, "members = 7; it must be a multiple of group = 2"),
        ({"members": 8, "block": 3}, "members = 8; it must be a multiple of block = 3"),
        ({"members": 8, "block": 2, "group": 4}, "block = 2; it must be a multiple of group = 4"),
        ({"control_variates": True, "batch_size": 2}, "control_variates need batch_size = None, not 2"),
        ({"control_variates": True, "loss": "cross_entropy"}, "control_variates need loss = mse"),
        ({"control_variates": True, "momentum": 0.1}, "control_variates need momentum = 0.0"),
        ({"step_fraction": 1.0}, "step_fraction = 1.0; it must be less than 1"),
        ({"ntk_steps": "last"}, "ntk_steps = 'last'; it must be 'none', 'ends' or 'all'"),
        ({"kernel_steps": (0, 10)}, r"kernel_steps = \[0, 10\]"),
        ({"ntk_steps": (4, 4)}, r"ntk_steps = \[4, 4\]; each may be listed once"),
        ({"ntk_samples": (1, 1)}, r"ntk_samples = \[1, 1\]; each may be listed once"),
        ({"ntk_steps": (0, 10)}, r"ntk_steps = \[0, 10\]; they must lie within 0 and 9"),
    ],
)
def test_bad_settings_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        replace(SPEC, **changes)


@pytest.mark.parametrize(
    ("spec", "members", "message"),
    [
        ({"ntk_samples": (9,)}, range(3), "ntk_samples"),
        ({"batch_size": 60}, range(3), "batch_size = 60; there are"),
        ({"loss": "cross_entropy"}, range(3), "must be probabilities"),
        ({}, range(0), "non-empty range"),
        ({"group": 2}, range(3), "must hold whole groups of 2"),
        ({}, range(-1, 3), "labels from 0 on"),
    ],
)
def test_bad_requests_are_named(task: Task, spec: dict[str, object], members: range, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        train_block(NETWORK, task, replace(SPEC, **spec), members)


def test_an_unknown_device_is_named(task: Task) -> None:
    with pytest.raises(RgflowError, match="device = 'tpu'"):
        train_block(NETWORK, task, SPEC, range(3), device="tpu")


@pytest.mark.parametrize(
    ("widths", "message"), [((4, 6, 2), "3 features; the network takes n_0 = 4"), ((3, 6, 1), "n_L = 1 outputs")]
)
def test_data_that_do_not_fit_the_network_are_named(task: Task, widths: tuple[int, ...], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        train_block(Network("relu", widths, 0.0, 2.0), task, SPEC, range(3))
