"""Training of residual networks against autograd of a plain torch module, the marginal sampler and infinite width."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import rgflow
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.training.chunk import Chunk
from rgflow.training.ensemble import train_block
from rgflow.training.ntk import empirical_ntk
from rgflow.training.spec import TrainingSpec

NETWORK = Network(
    ["gelu", "tanh", "relu"],
    (3, 4, 4, 4, 4),
    C_b=(0.1, 0.2, 0.3, 0.1),
    C_W=(1.5, 2.0, 1.1, 0.9),
    lambda_b=(0.3, 0.0, 0.7, 0.2),
    lambda_W=(1.0, 2.0, 0.5, 0.8),
    xi_1=0.6,
    xi_2=0.9,
)
TORCH = [torch.nn.functional.gelu, torch.tanh, torch.relu]
SPEC = TrainingSpec(seed=3, learning_rate=0.05, steps=(0, 1, 7), dtype="float64", ntk_steps=(0,))
MEMBER = 2


@pytest.fixture
def task() -> Task:
    rng = np.random.default_rng(5)
    return Task(*(rng.normal(size=shape) for shape in [(5, 3), (5, 4), (4, 3)]))


class Module(torch.nn.Module):
    """The ordinary torch network with the parameters of one member."""

    def __init__(self, chunk: Chunk) -> None:
        super().__init__()
        weights, biases = chunk.parameters.weights, chunk.parameters.biases
        self.weights = torch.nn.ParameterList(weight[MEMBER].clone() for weight in weights)
        self.biases = torch.nn.ParameterList(bias[MEMBER, 0].clone() for bias in biases)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = x @ self.weights[0].T + self.biases[0]
        for sigma, weight, bias in zip(TORCH, list(self.weights)[1:], list(self.biases)[1:], strict=True):
            z = 0.6 * (sigma(z) @ weight.T + bias) + 0.9 * z
        return z

    def rates(self) -> list[tuple[torch.nn.Parameter, float]]:
        """Every parameter with its entry of the learning-rate tensor."""
        weights = [rate / n_in for rate, n_in in zip(NETWORK.lambda_W, NETWORK.widths, strict=False)]
        return [*zip(self.weights, weights, strict=True), *zip(self.biases, NETWORK.lambda_b, strict=True)]


@pytest.mark.parametrize(("name", "optimizer"), [("gd", torch.optim.SGD), ("adam", torch.optim.Adam)])
def test_members_train_as_torch_modules_do(task: Task, name: str, optimizer: type[torch.optim.Optimizer]) -> None:
    spec = TrainingSpec(**{**vars(SPEC), "optimizer": name})
    chunk = Chunk(NETWORK, task, spec, 0, torch.device("cpu"))
    module = Module(chunk)
    steps = optimizer([{"params": [parameter], "lr": 0.05 * rate} for parameter, rate in module.rates()])
    x, y, everything = map(torch.as_tensor, (task.train_inputs, task.train_targets, task.inputs))
    expected = []
    for step in range(8):
        if step in SPEC.steps:
            expected.append(module(everything).detach().numpy())
        steps.zero_grad()
        (0.5 * (module(x) - y).square().sum()).backward()
        steps.step()
    np.testing.assert_allclose(chunk.train().predictions[MEMBER], expected, rtol=1e-10, atol=1e-12)
    assert np.abs(expected[-1] - expected[0]).min() > 1e-5


def test_ntk_equals_the_contraction_of_jacobians(task: Task) -> None:
    chunk = Chunk(NETWORK, task, SPEC, 0, torch.device("cpu"))
    module = Module(chunk)
    expected = torch.zeros(9, 9, dtype=torch.float64)
    outputs = module(torch.as_tensor(task.inputs))[:, 0]
    for parameter, rate in module.rates():
        gradients = [torch.autograd.grad(z, parameter, retain_graph=True)[0].flatten() for z in outputs]
        jacobian = torch.stack(gradients)
        expected += rate * jacobian @ jacobian.T
    torch.testing.assert_close(
        empirical_ntk(NETWORK, chunk.parameters, chunk.inputs, outputs=1)[MEMBER, 0, 0], expected
    )


def test_untrained_members_are_the_ensemble_of_the_sampler() -> None:
    """Mean square and NTK at width 4, where the marginal sampler draws no weights."""
    x = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
    settings = {"members": 8192, "keep": 8192, "group": 64, "learning_rate": 0.1, "steps": (0,), "ntk_steps": (0,)}
    trained = rgflow.train_ensemble(NETWORK, x, np.zeros((2, 4)), x[:1], **settings)
    sampled = rgflow.sample_initialization(NETWORK, x, members=40_000, seed=2, tensors=["K", "Theta"]).isel(layer=-1)
    first = trained["prediction"].values[:, 0, :2, 0].astype(np.float64)
    products = first[:, :, None] * first[:, None]
    for name, mean, error in (
        ("K", products.mean(0), products.std(0) / np.sqrt(len(products))),
        ("Theta", trained["NTK"].values[0, :2, :2], trained["NTK_stderr"].values[0, :2, :2]),
    ):
        scale = np.hypot(error, sampled[f"{name}_stderr"].values)
        assert np.abs((mean - sampled[name].values) / scale).max() < 4.5, name


def test_the_first_step_of_wide_residual_networks_is_that_of_the_kernel() -> None:
    """E[z(1) - z(0)] = eta E[H] y in a small step; with as many outputs as neurons larger ones leave it at order one."""
    network = Network("tanh", (3, 64, 64, 64), 0.1, 0.9, 0.2, 0.5, xi_1=0.7, xi_2=0.8)
    rng = np.random.default_rng(1)
    x, test = rng.normal(size=(3, 3)), rng.normal(size=(2, 3))
    y = np.zeros((3, 64))
    y[:, 0] = [20.0, -20.0, 10.0]  # large beside the untrained outputs
    theory = rgflow.training_theory(network, x, y, test, steps=(0, 1), step_fraction=0.02, order="leading")
    settings = {"members": 256, "keep": 256, "learning_rate": float(theory["learning_rate"]), "steps": (0, 1)}
    trained = rgflow.train_ensemble(network, x, y, test, **settings)["prediction"].values[..., 0].astype(np.float64)
    change, predicted = trained[:, 1] - trained[:, 0], theory["prediction_mean"].values[1, :, 0]
    error = change.std(0) / np.sqrt(len(change))
    assert (error < 0.05 * np.abs(predicted).max()).all()
    assert (np.abs(change.mean(0) - predicted) < 4 * error + 0.02 * np.abs(predicted).max()).all()


@pytest.mark.parametrize("settings", [{"control_variates": True}, {"kernel_steps": "ends"}])
def test_what_rests_on_plain_networks_is_refused(task: Task, settings: dict[str, object]) -> None:
    with pytest.raises(RgflowError, match=r"xi_1 = 0.6, xi_2 = 0.9: .* needs a plain network"):
        train_block(NETWORK, task, TrainingSpec(steps=(0, 1), **settings), range(4))
