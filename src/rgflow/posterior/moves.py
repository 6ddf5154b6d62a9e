"""Moves that leave pi_b(u) ~ w(u)^b N(u; 0, 1) invariant."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rgflow.posterior.draws import Stream
from rgflow.posterior.layers import Rows
from rgflow.posterior.particles import Particles, evaluated, white
from rgflow.posterior.problem import Problem
from rgflow.posterior.spec import TemperingStage

QUARTER_TURN = math.pi / 2.0  # the angle of a trajectory: near-independent draws where the likelihood is flat
SWEEPS = 50  # of the move without gradients, in a stage
Move = Callable[[Problem, Particles, TemperingStage, Stream], tuple[Particles, float]]


def rotation(problem: Problem, particles: Particles, stage: TemperingStage, stream: Stream) -> tuple[Particles, float]:
    """A Hamiltonian trajectory whose Gaussian part is an exact rotation of (u, p), kicked by the likelihood.

    With H = -b log w + u.u/2 + p.p/2 it is accepted with probability min(1, exp(H - H')). One step size, drawn around
    the stage's, serves all particles.

    Returns
    -------
    The particles and the fraction that moved.
    """
    count = len(particles.log_weight)
    momentum = white(problem, count, stream)
    step = stage.step * (0.8 + 0.4 * float(stream.uniforms(1)))
    steps = max(1, round(QUARTER_TURN / stage.step))
    end, momentum_end = trajectory(problem, particles, momentum, stage._replace(step=step), steps)
    change = energy(particles, momentum, stage.beta) - energy(end, momentum_end, stage.beta)
    return _accepted(particles, end, change, stream)


def trajectory(
    problem: Problem, particles: Particles, momentum: Rows, stage: TemperingStage, steps: int
) -> tuple[Particles, Rows]:
    """Half a kick, rotations by the step with kicks between, half a kick: reversible and volume preserving."""
    beta, step = stage
    momentum = _kicked(momentum, particles.gradient, step * beta / 2.0)
    for number in range(1, steps + 1):
        u, momentum = _rotated(particles.u, momentum, step)
        particles = evaluated(problem, u, gradient=True)
        kick = step * beta if number < steps else step * beta / 2.0
        momentum = _kicked(momentum, particles.gradient, kick)
    return particles, momentum


def energy(particles: Particles, momentum: Rows, beta: float) -> Tensor:
    """H of each particle, float64."""
    return 0.5 * (_squares(particles.u) + _squares(momentum)) - beta * particles.log_weight


def crank_nicolson(
    problem: Problem, particles: Particles, stage: TemperingStage, stream: Stream
) -> tuple[Particles, float]:
    """Sweeps of u' = u cos(step) + xi sin(step) with white xi, accepted with probability min(1, (w'/w)^b): no gradient."""
    moved = 0.0
    for _ in range(SWEEPS):
        noise = white(problem, len(particles.log_weight), stream)
        u, _ = _rotated(particles.u, noise, stage.step)
        proposed = evaluated(problem, u, gradient=False)
        change = stage.beta * (proposed.log_weight - particles.log_weight)
        particles, fraction = _accepted(particles, proposed, change, stream)
        moved += fraction / SWEEPS
    return particles, moved


def _accepted(before: Particles, after: Particles, change: Tensor, stream: Stream) -> tuple[Particles, float]:
    """Metropolis: ``after`` with probability min(1, exp(change)); never where that is not a number."""
    threshold = stream.uniforms(len(change)).log()
    accepted = (threshold < change) & after.log_weight.isfinite()
    return after.where(accepted, before), float(accepted.double().mean())


def _kicked(momentum: Rows, gradient: Rows, size: float) -> Rows:
    return [torch.add(p, slope, alpha=size) for p, slope in zip(momentum, gradient, strict=True)]


def _rotated(u: Rows, momentum: Rows, angle: float) -> tuple[Rows, Rows]:
    c, s = math.cos(angle), math.sin(angle)
    pairs = list(zip(u, momentum, strict=True))
    return [torch.add(c * q, p, alpha=s) for q, p in pairs], [torch.add(c * p, q, alpha=-s) for q, p in pairs]


def _squares(rows: Rows) -> Tensor:
    return torch.stack([layer.double().square().sum((1, 2)) for layer in rows]).sum(0)
