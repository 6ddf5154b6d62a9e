"""Likelihood of whitened hidden layers, its gradient, and the moves, against independent routes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation
from rgflow.network import Network
from rgflow.posterior.draws import Draws
from rgflow.posterior.factors import Features, LowerTriangular, smaller_factor
from rgflow.posterior.layers import Layers, Rows, hidden_layers
from rgflow.posterior.likelihood import FeatureLikelihood, KernelLikelihood
from rgflow.posterior.memory import numbers_of_u
from rgflow.posterior.moves import energy, trajectory
from rgflow.posterior.particles import effective_fraction, evaluated, systematic, white
from rgflow.posterior.problem import Problem, has_gradient
from rgflow.posterior.spec import Inference, TemperingStage
from rgflow.posterior.tempering import KEPT_FRACTION, Island, next_beta
from rgflow.task import Task

CPU = torch.device("cpu")


def make_problem(
    network: Network, train: int = 4, noise: float = 0.3, dtype: str = "float64", repeat: bool = False
) -> Problem:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(train + 2, network.widths[0]))
    if repeat:
        x[train - 1] = x[0]
    y = rng.normal(size=(train, network.widths[-1]))
    return Problem(network, Task(x[:train], y, x[train:]), Inference(noise, 64, 3, dtype), CPU)


def draw(problem: Problem, count: int, label: int = 0) -> Rows:
    return white(problem, count, problem.draws.stream(label, 0))


# hidden widths around 4 train samples: triangular factors, features, and both in one network; 20: beyond compiled loops
CASES = [
    pytest.param("tanh", (3, 6, 5, 1), 0.1, 4, id="triangular"),
    pytest.param("gelu", (3, 2, 6, 2), 0.0, 4, id="features, no biases"),
    pytest.param("relu", (3, 6, 3, 2), 0.2, 4, id="features of the likelihood"),
    pytest.param("swish", (3, 3, 2, 3, 2), 0.1, 4, id="features everywhere"),
    pytest.param(["tanh", "relu"], (3, 6, 5, 1), 0.1, 4, id="two activations"),
    pytest.param("leaky_relu", (3, 5, 1), 0.0, 4, id="one hidden layer"),
    pytest.param("gelu", (15, 22, 25, 2), 0.1, 20, id="many samples"),
    pytest.param("tanh", (3, 18, 25, 2), 0.1, 20, id="many samples, features"),
]


def directional(problem: Problem, u: Rows, direction: Rows, size: float) -> np.ndarray:
    ahead, behind = ([a + s * size * b for a, b in zip(u, direction, strict=True)] for s in (1, -1))
    return ((problem.log_weight(ahead) - problem.log_weight(behind)) / (2 * size)).numpy()


@pytest.mark.parametrize(("name", "widths", "C_b", "train"), CASES)
def test_gradient_is_the_derivative(name: str | list[str], widths: tuple[int, ...], C_b: float, train: int) -> None:
    problem = make_problem(Network(name, widths, C_b, 1.6), train)
    u, direction = draw(problem, 6), draw(problem, 6, label=1)
    log_weight, gradient = problem.with_gradient(u)
    torch.testing.assert_close(log_weight, problem.log_weight(u), rtol=1e-12, atol=1e-12)
    slope = sum((g * d).sum((1, 2)) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(directional(problem, u, direction, 1e-6), slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("widths", [(3, 6, 5, 1), (8, 30, 40, 1)])
def test_gradient_where_inputs_repeat(widths: tuple[int, ...]) -> None:
    problem = make_problem(Network("tanh", widths, 0.1, 1.6), train=4 if widths[1] == 6 else 24, repeat=True)
    u, direction = draw(problem, 4), draw(problem, 4, label=1)
    _, gradient = problem.with_gradient(u)
    slope = sum((g * d).sum((1, 2)) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(directional(problem, u, direction, 1e-6), slope, rtol=1e-5, atol=1e-5)


def test_gradient_of_dead_layers_is_finite() -> None:
    problem = make_problem(Network("relu", (3, 2, 2, 1), 0.0, 1.0))
    log_weight, gradient = problem.with_gradient([-u.abs() for u in draw(problem, 50)])
    assert log_weight.isfinite().all()
    assert all(layer.isfinite().all() for layer in gradient)


def test_single_precision_gives_the_same_to_its_rounding() -> None:
    double, single = (make_problem(Network("gelu", (3, 6, 5, 2), 0.1, 1.6), dtype=d) for d in ("float64", "float32"))
    u = draw(double, 8)
    log_weight, gradient = double.with_gradient(u)
    rounded, rough = single.with_gradient([layer.float() for layer in u])
    torch.testing.assert_close(rounded, log_weight, rtol=1e-4, atol=1e-4)
    for mine, its in zip(rough, gradient, strict=True):
        torch.testing.assert_close(mine.double(), its, rtol=1e-3, atol=1e-3)


def test_log_weight_is_the_gaussian_density_of_the_targets() -> None:
    """The forward pass written out once more, for features: weights and biases of explicit neurons."""
    problem = make_problem(Network("gelu", (3, 2, 3, 2), 0.4, 1.6), noise=0.2)
    x, y = torch.tensor(problem.task.train_inputs), torch.tensor(problem.task.train_targets)
    first, second = draw(problem, 5)
    L = torch.linalg.cholesky(0.4 + 1.6 * x @ x.T / 3 + 1e-13 * torch.eye(4))
    sigma = activation("gelu")(L @ first)
    z = math.sqrt(0.4) * second[:, :1] + math.sqrt(1.6 / 2) * sigma @ second[:, 1:]
    sigma = activation("gelu")(z)
    covariance = 0.4 + 1.6 / 3 * sigma @ sigma.mT + 0.2 * torch.eye(4)
    density = torch.distributions.MultivariateNormal(torch.zeros(4, dtype=torch.float64), covariance[:, None])
    torch.testing.assert_close(problem.log_weight([first, second]), density.log_prob(y.T).sum(1), rtol=1e-5, atol=1e-5)


def test_both_likelihoods_are_one_function() -> None:
    sigma = torch.tensor(np.random.default_rng(1).normal(size=(5, 6, 3)))
    y = torch.tensor(np.random.default_rng(2).normal(size=(6, 2)))
    by_kernel = KernelLikelihood(LowerTriangular(0.1, 0.5), 0.01, y).with_cotangent(sigma)
    by_features = FeatureLikelihood(Features(0.1, 0.5, 3), 0.01, y).with_cotangent(sigma)
    for mine, its in zip(by_kernel, by_features, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


def test_features_are_taken_where_they_are_fewer() -> None:
    assert isinstance(smaller_factor(0.0, 1.0, 5, 6), Features)
    assert isinstance(smaller_factor(0.0, 1.0, 6, 6), LowerTriangular)


def test_both_factors_give_one_law() -> None:
    """Moments of Ghat and of its likelihood over 40 000 draws of each, in standard errors of the difference."""
    network, members = Network("gelu", (3, 4, 3, 1), 0.2, 1.6), 40_000
    x, y = torch.tensor(make_problem(network).task.train_inputs), torch.tensor(np.ones((4, 1)))
    samples = []
    for label, train_count in enumerate((1, 100)):  # no layer is narrower than 1 sample, every one than 100
        layers = hidden_layers(network, x, train_count, torch.float64)
        assert isinstance(layers.factors[0], (LowerTriangular, Features)[label])
        stream = Draws("law", CPU).stream(label, 0)
        sigma = layers.last([stream.normals((members, *shape), torch.float64) for shape in layers.shapes()])
        Ghat = LowerTriangular(0.2, 1.6 / 3).metric(sigma).flatten(1)
        weight = KernelLikelihood(LowerTriangular(0.2, 1.6 / 3), 0.5, y)(sigma).exp()[:, None]
        samples.append(torch.cat([Ghat, Ghat**2, weight, weight * Ghat], 1))
    difference = samples[0].mean(0) - samples[1].mean(0)
    error = sum(sample.var(0) / members for sample in samples).sqrt()
    assert float((difference / error).abs().max()) < 4.0


@pytest.mark.parametrize(("name", "widths", "C_b", "train"), CASES)
def test_a_trajectory_runs_back(name: str | list[str], widths: tuple[int, ...], C_b: float, train: int) -> None:
    problem = make_problem(Network(name, widths, C_b, 1.6), train)
    start, momentum, stage = (
        evaluated(problem, draw(problem, 6), True),
        draw(problem, 6, label=1),
        TemperingStage(0.7, 0.2),
    )
    there, momentum_there = trajectory(problem, start, momentum, stage, 7)
    back, momentum_back = trajectory(problem, there, [-p for p in momentum_there], stage, 7)
    for mine, its in zip([*back.u, *momentum_back], [*start.u, *(-p for p in momentum)], strict=True):
        assert float((mine - its).abs().max()) < 1e-10


def test_energy_error_is_of_second_order_in_the_step() -> None:
    problem = make_problem(Network("tanh", (3, 6, 5, 1), 0.1, 1.6), noise=0.05)
    start, momentum = evaluated(problem, draw(problem, 20), True), draw(problem, 20, label=1)
    before = energy(start, momentum, 0.7)
    errors = []
    for steps in (32, 64):
        end = trajectory(problem, start, momentum, TemperingStage(0.7, 1.0 / steps), steps)
        errors.append(float((energy(*end, 0.7) - before).abs().mean()))
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_without_a_likelihood_a_trajectory_is_a_rotation() -> None:
    problem = make_problem(Network("tanh", (3, 6, 5, 1), 0.1, 1.6))
    start, momentum = evaluated(problem, draw(problem, 3), True), draw(problem, 3, label=1)
    end, after = trajectory(problem, start, momentum, TemperingStage(0.0, math.pi / 8), 4)
    for mine, its in zip([*end.u, *after], [*momentum, *(-u for u in start.u)], strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-12, atol=1e-12)


def test_resampling_is_systematic() -> None:
    weights = torch.tensor(np.random.default_rng(3).exponential(size=50))
    expected = 50 * (weights / weights.sum()).numpy()
    counts = np.array(
        [np.bincount(systematic(weights.log(), torch.tensor([u], dtype=torch.float64)), minlength=50) for u in
         np.linspace(0.0, 1.0, 400, endpoint=False)]
    )  # fmt: skip
    assert (counts >= np.floor(expected)).all()
    assert (counts <= np.ceil(expected)).all()
    np.testing.assert_allclose(counts.mean(0), expected, atol=1 / 400 + 1e-12)


def test_a_particle_without_weight_is_never_resampled() -> None:
    log_weights = torch.tensor([-math.inf, 0.0, -math.inf, 0.0, -math.inf], dtype=torch.float64)
    for u in (0.0, 0.5, 1.0 - 2.0**-53):
        assert set(systematic(log_weights, torch.tensor([u], dtype=torch.float64)).tolist()) == {1, 3}


def test_effective_fraction() -> None:
    assert effective_fraction(torch.zeros(7, dtype=torch.float64)) == pytest.approx(1.0)
    assert effective_fraction(torch.tensor([0.0, -math.inf, -math.inf, -math.inf])) == pytest.approx(0.25)
    assert effective_fraction(torch.full((3,), -math.inf)) == 0.0


def test_the_next_stage_keeps_half_of_the_particles() -> None:
    problem = make_problem(Network("tanh", (3, 6, 5, 1), 0.1, 1.6), noise=0.001)
    island = Island(problem, evaluated(problem, draw(problem, 500), False))
    island.reweight(next_beta(island))
    assert 0.0 < island.beta < 1.0
    assert island.ess == [pytest.approx(KEPT_FRACTION, abs=1e-6)]


def test_what_has_a_gradient(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\ndef stairs(z): return torch.floor(2 * z)\ndef smooth(z): return torch.tanh(z) + z\n"
    )
    assert not has_gradient(activation(f"{tmp_path / 'mine.py'}:stairs"))
    assert has_gradient(activation(f"{tmp_path / 'mine.py'}:smooth"))
    assert not has_gradient(activation("perceptron"))
    known: list[Activation] = [activation(name) for name in ("relu", "tanh", "hard_tanh", "linear", "elu")]
    assert all(map(has_gradient, known))


@pytest.mark.parametrize("widths", [(3, 6, 5, 1), (3, 2, 6, 3, 2), (3, 9, 1)])
def test_memory_counts_the_numbers_of_a_particle(widths: tuple[int, ...]) -> None:
    problem = make_problem(Network("tanh", widths, 0.1, 1.6))
    for layers, samples in ((problem.train, 4), (problem.all, 6)):
        assert numbers_of_u(problem, samples) == sum(rows * n for rows, n in layers.shapes())


def test_streams_are_functions_of_their_key() -> None:
    draws = Draws("key", CPU)
    keys = [(island, stage) for island in (*range(30), "pilot") for stage in (*range(5), "test rows")]
    first = {float(draws.stream(*key).normals((1,), torch.float64)) for key in keys}
    assert len(first) == len(keys)
    assert torch.equal(draws.stream(3, 1).uniforms(5), Draws("key", CPU).stream(3, 1).uniforms(5))
    assert not torch.equal(draws.stream(3, 1).uniforms(5), Draws("other", CPU).stream(3, 1).uniforms(5))


def test_layers_on_more_samples_continue_those_on_fewer() -> None:
    """The train rows of a forward pass do not feel the test rows."""
    problem = make_problem(Network("gelu", (3, 6, 5, 1), 0.1, 1.6))
    u = draw(problem, 4)
    full = [torch.cat([layer, torch.randn(4, 2, layer.shape[2], dtype=torch.float64)], 1) for layer in u]
    both: tuple[Layers, Layers] = (problem.train, problem.all)
    torch.testing.assert_close(both[1].last(full)[:, :4], both[0].last(u), rtol=1e-9, atol=1e-9)
