"""Conversions of loss, reduction and momentum, by training networks for which the limits are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import rgflow
from rgflow.practice.learning import learned_fraction
from rgflow.practice.rates import kept_modes
from rgflow.practice.units import Training

N, N_0, OUTPUTS = 12, 5, 2


def _data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, N_0, generator=generator, dtype=torch.float64)
    return x, torch.randn(N, OUTPUTS, generator=generator, dtype=torch.float64)


def _limit(advice: rgflow.practice.advice.Advice) -> float:
    """The exact limit in torch's units."""
    training = advice.training
    theta_max = float(advice.at("critical")["theta_max"])
    return training.rate(training.limit(theta_max), N, OUTPUTS)


def _loss_ratio(advice: rgflow.practice.advice.Advice, lr: float, steps: int) -> float:
    """Distance of the outputs of a single Linear from where they end, after steps over before; its NTK is constant."""
    x, y = _data()
    model = advice.initialize_(advice.reading.model, torch.Generator().manual_seed(1))
    training = advice.training
    target = y if training.loss == "mse" else torch.full((N, OUTPUTS), 1.0 / OUTPUTS, dtype=torch.float64)
    if training.loss == "cross_entropy":
        with torch.no_grad():  # near uniform outputs, where the curvature is 1/n_L = 1/2, for two classes the largest
            for parameter in model.parameters():
                parameter.mul_(1e-4)
        end = torch.zeros_like(y)
    else:
        design = torch.cat([x, torch.ones(N, 1, dtype=torch.float64)], 1)
        end = design @ torch.linalg.lstsq(design, y).solution
    loss = (nn.MSELoss if training.loss == "mse" else nn.CrossEntropyLoss)(reduction=training.reduction)
    optimizer = torch.optim.SGD(advice.parameter_groups(lr=lr), lr=lr, momentum=training.momentum)

    def distance() -> float:
        outputs = model(x).detach()
        if training.loss == "cross_entropy":
            outputs = outputs - outputs.mean(1, keepdim=True)
        return float((outputs - end).norm())

    first = distance()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(x), target).backward()
        optimizer.step()
    return distance() / first


@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_limit_is_where_training_turns(loss: str, reduction: str, momentum: float) -> None:
    """A single Linear has a constant NTK: below the limit it converges, 2 % above it diverges, whatever the units."""
    x, y = _data()
    targets = y if loss == "mse" else np.arange(N) % OUTPUTS
    model = nn.Linear(N_0, OUTPUTS).double()
    advice = rgflow.advise(model, x, targets, loss=loss, reduction=reduction, momentum=momentum)
    limit = _limit(advice)
    assert _loss_ratio(advice, 0.98 * limit, 1200) < 0.5
    assert _loss_ratio(advice, 1.02 * limit, 250) > 5.0
    safe = float(advice.at("critical")["safe_rate"].sel(rates="tensor"))
    assert safe == pytest.approx(limit if not momentum else limit / 2 / (1 + momentum))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_groups_move_outputs_as_theory_says(loss: str, reduction: str) -> None:
    """One small step of torch's optimizer is dz = -eta H eps, H = sum of lambda dz/dtheta dz/dtheta of autograd."""
    x, y = _data()
    model = nn.Sequential(nn.Linear(N_0, 7), nn.Tanh(), nn.Linear(7, OUTPUTS)).double()
    targets = y if loss == "mse" else np.arange(N) % OUTPUTS
    advice = rgflow.advise(model, x, targets, loss=loss, reduction=reduction)
    advice.initialize_(model, torch.Generator().manual_seed(2))
    rates = advice.at("critical")
    lambdas = [rate for layer in (0, 1) for rate in (
        rates["layer_lambda_W"].values[layer] / (N_0, 7)[layer], rates["layer_lambda_b"].values[layer])]  # fmt: skip
    outputs = model(x)
    H = torch.zeros(N * OUTPUTS, N * OUTPUTS, dtype=torch.float64)
    for parameter, rate in zip(model.parameters(), lambdas, strict=True):
        rows = [torch.autograd.grad(z, parameter, retain_graph=True)[0].flatten() for z in outputs.flatten()]
        jacobian = torch.stack(rows)
        H += rate * jacobian @ jacobian.T
    y_ = torch.as_tensor(advice.batch.targets)
    error = (outputs - y_ if loss == "mse" else outputs.softmax(1) - y_).detach().flatten()
    eta = 1e-7
    lr = advice.training.rate(eta, N, OUTPUTS)
    optimizer = torch.optim.SGD(advice.parameter_groups(lr=lr), lr=lr)
    kind = nn.MSELoss if loss == "mse" else nn.CrossEntropyLoss
    kind(reduction=reduction)(outputs, y_).backward()
    optimizer.step()
    moved = (model(x) - outputs).detach().flatten() / eta
    assert torch.allclose(moved, -H @ error, rtol=1e-4, atol=1e-5)


def test_reductions_agree_on_the_step() -> None:
    """Mean and sum are the same training at the suggested rates."""
    x, y = _data()
    results = []
    for reduction in ("mean", "sum"):
        model = nn.Sequential(nn.Linear(N_0, 30), nn.ReLU(), nn.Linear(30, OUTPUTS)).double()
        advice = rgflow.advise(model, x, y, reduction=reduction)
        advice.initialize_(model, torch.Generator().manual_seed(3))
        optimizer = torch.optim.SGD(advice.parameter_groups())
        for _ in range(20):
            optimizer.zero_grad()
            nn.MSELoss(reduction=reduction)(model(x), y).backward()
            optimizer.step()
        results.append(model(x).detach())
    assert torch.allclose(*results, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_learned_fraction_is_the_recursion_in_closed_form(momentum: float) -> None:
    """z_t from the two roots of r^2 = (1 + momentum - a) r - momentum, and 1 - (1 - a)^t without momentum."""
    theta, eta, steps = np.array([0.3, 1.0, 2.9]), 0.4, 9
    expected = []
    for a in eta * theta:
        r = np.roots([1.0, -(1.0 + momentum - a), momentum])
        A = np.linalg.solve([[1.0, 1.0], [r[0], r[1]]], [1.0, 1.0 - a]) if momentum else [1.0, 0.0]
        z = (1.0 - a) ** steps if not momentum else float(np.real(A[0] * r[0] ** steps + A[1] * r[1] ** steps))
        expected.append((1.0 - z) / (a / eta))
    assert learned_fraction(theta, eta, momentum, steps) == pytest.approx(expected, rel=1e-12)
    assert learned_fraction(np.zeros(1), eta, 0.0, steps)[0] == pytest.approx(eta * steps)


def test_kept_modes_are_the_largest_that_hold_the_share() -> None:
    theta, weight = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 0.005, 0.5, 0.495])
    assert kept_modes(theta, weight / weight.sum(), 0.4).tolist() == [False, False, True, True]
    assert kept_modes(theta, np.array([0.0, 0.0, 0.2, 0.8]), 0.5).tolist() == [False, False, False, True]


def test_the_worst_curvature_of_the_softmax() -> None:
    """h = 1/2: the largest eigenvalue of diag(p) - p p^T over many p, reached by two classes of probability 1/2."""
    p = np.random.default_rng(0).dirichlet([0.2] * 4, 4000)
    largest = max(np.linalg.eigvalsh(np.diag(row) - np.outer(row, row))[-1] for row in p)
    assert 0.45 < largest <= 0.5
    assert Training(loss="cross_entropy").limit(3.0) == pytest.approx(4.0 / 3.0)
    assert math.isclose(Training(momentum=0.9).limit(1.0), 3.8)
