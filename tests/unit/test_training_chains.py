"""Kernels of the modes: bidiagonal matrices against literal nested sums, matrix exponentials, and limits."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest
from scipy.linalg import expm

from rgflow.theory.learning.chains import corners, exponentials, matrix_powers
from rgflow.theory.learning.dynamics import Dynamics

THETA = np.array([0.3, 0.3 + 1e-13, 1.1, 2.6])  # two modes that no quotient of differences could tell apart
TIMES = (0, 1, 2, 3, 7, 19)


def literal(dynamics: Dynamics, t: int) -> dict[str, np.ndarray]:
    """The sums of the module's docstring as they stand, for rows that are the train modes and one test row."""
    eta, u = dynamics.rate, 1 - dynamics.rate * dynamics.theta
    U = np.append(u, 1.0)
    n = len(u)
    sums = {name: np.zeros((n + 1,) + (n,) * legs) for name, legs in LEGS.items()}
    eta_pq, eta_pqs = np.einsum("p,q->pq", eta, eta), np.einsum("p,q,s->pqs", eta, eta, eta)
    for tau in range(t):
        decay = U ** (t - 1 - tau)
        sums["g"] += np.einsum("x,p->xp", decay, eta * u**tau)
        sums["b"] += np.einsum("x,pq->xpq", decay, eta_pq * np.outer(u**tau, u**tau)) / 2
        sums["c4"] += np.einsum("x,pqs,p,q,s->xpqs", decay, eta_pqs, u**tau, u**tau, u**tau)
        for r in range(tau):
            sums["gg"] += np.einsum("x,pq,p,q->xpq", decay, eta_pq, u ** (tau - 1 - r), u**r)
            sums["a"] += np.einsum("x,pq,p,q->xpq", decay, eta_pq, u**tau, u**r)
            sums["c2"] += np.einsum("x,pqs,p,q,s->xpqs", decay, eta_pqs, u**tau, u**r, u**r)
            sums["c3"] += np.einsum("x,pqs,p,q,s->xpqs", decay, eta_pqs, u**tau, u**tau, u**r)
            for v in range(r):
                sums["c1"] += np.einsum("x,pqs,p,q,s->xpqs", decay, eta_pqs, u**tau, u**r, u**v)
    return sums


LEGS = {"g": 1, "gg": 2, "a": 2, "b": 2, "c1": 3, "c2": 3, "c3": 3, "c4": 3}


def of(kernels: object, name: str) -> np.ndarray:
    return kernels.c[name] if name.startswith("c") else getattr(kernels, name)


@pytest.mark.parametrize("rate", [0.2, 0.7, 1.3 / THETA], ids=["slow", "fast", "newton"])
def test_kernels_are_the_literal_nested_sums(rate: float | np.ndarray) -> None:
    dynamics = Dynamics(THETA, np.broadcast_to(rate, THETA.shape), flow=False)
    for t, kernels in zip(TIMES, dynamics.kernels(TIMES, test_count=2), strict=True):
        for name, expected in literal(dynamics, t).items():
            found = of(kernels, name)
            np.testing.assert_allclose(found[:-1], expected, rtol=3e-13, atol=1e-14, err_msg=f"{name} at {t}")
            np.testing.assert_array_equal(found[-1], found[-2])  # test rows share their kernel
        np.testing.assert_allclose(kernels.decay[:-2], (1 - dynamics.rate * THETA) ** t, rtol=1e-13)
        np.testing.assert_allclose(kernels.f, dynamics.learned_fraction(t), rtol=1e-13)


@pytest.mark.parametrize("flow", [False, True])
def test_kernels_tend_to_their_limit(flow: bool) -> None:
    dynamics = Dynamics(THETA, np.full(4, 0.5), flow)
    (late,) = dynamics.kernels([1000], test_count=1)
    limit = dynamics.limit(test_count=1)
    for name in LEGS if not flow else ("g", "gg", "a", "c1"):
        np.testing.assert_allclose(of(late, name), of(limit, name), rtol=1e-12, atol=1e-14, err_msg=name)
    assert not limit.decay[:-1].any()
    assert late.decay[-1] == limit.decay[-1] == 1.0


def test_flow_is_the_limit_of_small_steps() -> None:
    """The first correction is linear in the step; what is left after removing it is quadratic."""
    (flow,) = Dynamics(THETA, np.ones(4), flow=True).kernels([1.5], test_count=1)
    small, half = (next(Dynamics(THETA, np.full(4, 1.5 / t), False).kernels([t], 1)) for t in (2000, 4000))
    for name in ("g", "gg", "a", "c1"):
        extrapolated = 2 * of(half, name) - of(small, name)
        np.testing.assert_allclose(extrapolated, of(flow, name), rtol=1e-5, atol=1e-7, err_msg=name)
    for name in ("b", "c2", "c3", "c4"):
        assert abs(of(half, name)).max() < 0.01
    assert not flow.b.any()
    assert set(flow.c) == {"c1"}


@pytest.mark.parametrize("time", [0.0, 1e-3, 0.8, 300.0])
def test_exponentials_of_all_modes_at_once(time: float) -> None:
    rates = -np.array([0.0, 0.4, 0.4, 7.0])
    axes = np.meshgrid(rates, rates, rates, indexing="ij", sparse=True)
    (found,) = corners(axes, [time], exponentials)
    for index in combinations_with_replacement(range(4), 3):
        J = np.diag(rates[list(index)]) + np.diag(np.ones(2), 1)
        expected = expm(time * J)[0, 2]
        assert np.broadcast_to(found, (4, 4, 4))[index] == pytest.approx(expected, rel=1e-12, abs=1e-16)


def test_a_path_in_stages_is_the_path_at_once() -> None:
    w = [np.linspace(-0.9, 0.95, 7), np.array(0.3)]
    staged = list(corners(w, [3, 4, 100, 1001], matrix_powers))[-1]
    (at_once,) = corners(w, [1001], matrix_powers)
    np.testing.assert_allclose(staged, at_once, rtol=1e-13)
