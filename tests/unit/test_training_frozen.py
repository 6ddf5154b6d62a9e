"""The frozen evolution and its first-order answer, against literal steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.learning.training import training_theory
from rgflow.training.chunk import Chunk
from rgflow.training.ensemble import train_block
from rgflow.training.frozen import Frozen
from rgflow.training.ntk import empirical_ntk
from rgflow.training.spec import TrainingSpec

RNG = np.random.default_rng(11)
TASK = Task(*(RNG.normal(size=shape) for shape in [(3, 4), (3, 2), (2, 4), (2, 2)]))
NETWORK = Network("tanh", (4, 16, 16, 2), 0.2, 1.4, lambda_b=0.3)
ETA = 0.11


@pytest.fixture(scope="module")
def frozen() -> Frozen:
    return Frozen.of(NETWORK, TASK, ETA)


def steps_of(Theta: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    """z (output, sample) after literal steps in an NTK (output, output, sample, sample)."""
    z = start.copy()
    for _ in range(steps):
        z = z - ETA * np.einsum("ijab,jb->ia", Theta[..., :3], z[:, :3] - TASK.train_targets.T)
    return z


def test_rows_diagonalize_the_ntk_and_test_rows_do_not_learn(frozen: Frozen) -> None:
    theta, rows, back = frozen.spectrum
    np.testing.assert_allclose(rows @ back, np.eye(5), atol=1e-13)
    np.testing.assert_allclose((rows @ frozen.Theta @ rows.T)[:, :3], np.diag(theta)[:, :3], atol=1e-12)
    assert not theta[3:].any()


@pytest.mark.parametrize("step", [0, 1, 2, 7, 40])
def test_mean_and_propagator_are_those_of_the_theory(frozen: Frozen, step: int) -> None:
    Theta = np.einsum("ab,ij->ijab", frozen.Theta, np.eye(2))
    start = RNG.normal(size=(2, 5))
    expected = steps_of(Theta, start, step)
    np.testing.assert_allclose(frozen.mean(step).T + start @ frozen.propagator(step).T, expected, atol=1e-12)


def test_infinite_width_is_that_of_training_theory() -> None:
    data = (TASK.train_inputs, TASK.train_targets, TASK.test_inputs)
    theory = training_theory(NETWORK, *data, steps=(0, 5, 100), step_fraction=0.4)
    frozen = Frozen.of(NETWORK, TASK, float(theory["learning_rate"]))
    for at, step in enumerate((0, 5, 100)):
        J = frozen.propagator(step)
        np.testing.assert_allclose(frozen.mean(step), theory["prediction_mean"][at], atol=1e-11)
        np.testing.assert_allclose(J @ frozen.K @ J.T, theory["prediction_covariance"][at], atol=1e-11)


@pytest.mark.parametrize("step", [0, 1, 2, 3, 6, 13, 64])
def test_response_is_the_sum_over_steps(frozen: Frozen, step: int) -> None:
    decay = 1 - ETA * frozen.spectrum[0]
    u_x, u_p = decay[:, None], decay[None, :3]
    expected = sum((ETA * u_x ** (step - 1 - tau) * u_p**tau for tau in range(step)), np.zeros((5, 3)))
    np.testing.assert_allclose(frozen.response(step), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("step", [1, 2, 9, 30])
def test_first_order_is_the_derivative_of_the_evolution_by_the_ntk(frozen: Frozen, step: int) -> None:
    delta_H = RNG.normal(size=(2, 2, 5, 5))
    delta_H = delta_H + delta_H.transpose(1, 0, 3, 2)
    start, small = RNG.normal(size=(2, 5)), 1e-5
    Theta = np.einsum("ab,ij->ijab", frozen.Theta, np.eye(2))
    up, down = (steps_of(Theta + sign * small * delta_H, start, step) for sign in (1, -1))
    first = frozen.first_order(frozen.sources(delta_H[None], start[None]), step)[0]
    np.testing.assert_allclose(first, (up - down) / (2 * small), rtol=1e-6, atol=1e-8)


def test_repeated_train_inputs_leave_the_evolution_finite() -> None:
    task = Task(TASK.train_inputs[[0, 0, 1]], TASK.train_targets, TASK.test_inputs)
    frozen = Frozen.of(NETWORK, task, ETA)
    z = RNG.normal(size=(1, 2, 5))
    step = z - ETA * (z[..., :3] - task.train_targets.T) @ frozen.Theta[:, :3].T
    np.testing.assert_allclose(frozen.mean(1).T + z @ frozen.propagator(1).T, step, atol=1e-10)
    assert np.isfinite(frozen.response(50)).all()


def test_twins_start_mirrored_with_one_ntk_and_stay_so_for_mirrored_targets() -> None:
    spec = TrainingSpec(learning_rate=ETA, steps=(0, 1, 8), dtype="float64", antithetic=True)
    chunk = Chunk(NETWORK, TASK, spec, 0, torch.device("cpu"))
    H = empirical_ntk(NETWORK, chunk.parameters, chunk.inputs)
    assert torch.equal(H[::2], H[1::2])
    mirrored = Task(TASK.train_inputs, -TASK.train_targets, TASK.test_inputs)
    z, mirrored_z = (train_block(NETWORK, task, spec, range(6))["prediction"].values for task in (TASK, mirrored))
    np.testing.assert_array_equal(z[::2, 0], -z[1::2, 0])
    np.testing.assert_array_equal(z[::2], -mirrored_z[1::2])
    assert abs(z[::2, 2] + z[1::2, 2]).max() > 1e-2


def test_the_mean_of_the_linear_part_of_twins_is_exactly_even() -> None:
    """z0 and dH z0 cancel between twins: what is left of the linear part is g dH y."""
    spec = TrainingSpec(
        learning_rate=ETA, steps=(0, 1, 8), dtype="float64", antithetic=True, control_variates=True, group=2
    )
    block = train_block(NETWORK, TASK, spec, range(6))
    frozen = Frozen.of(NETWORK, TASK, ETA)
    chunk = Chunk(NETWORK, TASK, spec, 0, torch.device("cpu"))
    H = empirical_ntk(NETWORK, chunk.parameters, chunk.inputs)[::2][:3].numpy()
    sources = frozen.sources(H - np.einsum("ab,ij->ijab", frozen.Theta, np.eye(2)), np.zeros((3, 2, 5)))
    for at, step in enumerate(spec.recorded):
        expected = frozen.first_order(sources, step).swapaxes(1, 2)
        np.testing.assert_allclose(block["linear_mean"].values[:, at], expected, atol=1e-12)
    plain = train_block(NETWORK, TASK, replace(spec, antithetic=False), range(6))
    assert abs(plain["linear_mean"].values - block["linear_mean"].values).max() > 1e-3
