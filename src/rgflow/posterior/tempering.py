"""Tempered sequential Monte Carlo: a pilot that finds the stages, and islands that follow them.

Targets pi_b(u) ~ w(u)^b N(u; 0, 1) lead from the prior, b = 0, to the posterior, b = 1. Each stage reweights by w^(b' - b),
whose mean estimates a ratio of normalizations, resamples and moves. Because the stages are frozen before an island begins,
its product of these means is an unbiased estimate of the evidence, and islands are independent and identically distributed.
Where prior draws serve as they are, the pilot finds one stage: plain reweighting.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from rgflow.errors import RgflowError
from rgflow.posterior.draws import PILOT, Stream
from rgflow.posterior.moves import QUARTER_TURN, Move, crank_nicolson, rotation
from rgflow.posterior.particles import Particles, effective_fraction, log_mean_exp, prior_particles, systematic
from rgflow.posterior.problem import Problem
from rgflow.posterior.spec import TemperingSchedule, TemperingStage

KEPT_FRACTION = 0.5  # alpha: effective sample size that a stage leaves
PILOT_SIZE = 2  # particles of the pilot, in islands
FIRST_STEP = 0.4
MOST_STAGES = 200
_BISECTIONS = 40


@dataclass(frozen=True)
class Tuning:
    """How the pilot finds the step of a move: acceptances that are too low and too high, and the one aimed at."""

    low: float
    high: float
    aim: float
    trials: int = 8


_TUNING: dict[Move, Tuning] = {rotation: Tuning(0.65, 0.9, 0.8), crank_nicolson: Tuning(0.2, 0.4, 0.3)}


@dataclass(eq=False)
class Island:
    """Particles on their way from prior to posterior.

    Attributes
    ----------
    problem
        What they are networks of.
    particles
        Now.
    beta
        Inverse temperature now.
    log_weights
        Of the last reweighting, before any resampling.
    log_evidence
        log Z so far.
    ess, acceptance
        Of the stages passed: the effective fraction of the particles before resampling and the fraction that moved.
    """

    problem: Problem
    particles: Particles
    beta: float = 0.0
    log_weights: Tensor = field(default_factory=lambda: torch.zeros(0))
    log_evidence: float = 0.0
    ess: list[float] = field(default_factory=list)
    acceptance: list[float] = field(default_factory=list)

    def reweight(self, beta: float) -> None:
        """Raise the inverse temperature."""
        self.log_weights = (beta - self.beta) * self.particles.log_weight
        self.log_evidence += log_mean_exp(self.log_weights)
        self.ess.append(effective_fraction(self.log_weights))
        self.beta = beta

    def resample(self, stream: Stream) -> None:
        """Make the weights equal."""
        self.particles = self.particles.take(systematic(self.log_weights, stream.uniforms(1)))

    def move(self, step: float, stream: Stream) -> float:
        """Move all particles once; the fraction that moved."""
        stage = TemperingStage(self.beta, step)
        self.particles, moved = move_of(self.problem)(self.problem, self.particles, stage, stream)
        return moved


def move_of(problem: Problem) -> Move:
    """The move for the problem: with gradients, if there are any."""
    return rotation if problem.differentiable else crank_nicolson


def prior_island(problem: Problem, count: int, label: int | str, moves: bool) -> Island:
    """An island at b = 0.

    Raises
    ------
    RgflowError
        If no network drawn has a likelihood that can be computed.
    """
    gradient = moves and problem.differentiable
    particles = prior_particles(problem, count, problem.draws.stream(label, 0), gradient)
    if not bool(particles.log_weight.isfinite().any()):
        raise RgflowError(
            "the likelihood of the train targets is zero or infinite in every network drawn: "
            "drop repeated or parallel train inputs, or give noise > 0"
        )
    return Island(problem, particles)


def run_island(
    problem: Problem, schedule: TemperingSchedule, label: int, moves: bool = False
) -> tuple[Particles, Island]:
    """Follow the stages: the prior particles that an island begins with, and the island at the end, weighted.

    Parameters
    ----------
    problem, schedule, label
        What is sampled, by which stages, and the number of the island.
    moves
        Whether the island will be moved on after the last stage.
    """
    island = prior_island(problem, problem.inference.particles, label, moves or len(schedule.stages) > 1)
    prior = island.particles
    for number, stage in enumerate(schedule.stages[:-1], start=1):
        stream = problem.draws.stream(label, number)
        island.reweight(stage.beta)
        island.resample(stream)
        island.acceptance.append(island.move(stage.step, stream))
    island.reweight(1.0)
    return prior, island


def run_pilot(problem: Problem) -> tuple[TemperingSchedule, Island]:
    """Find the stages with particles of its own; the last one has no step.

    Raises
    ------
    RgflowError
        No network drawn has a likelihood that can be computed, or too many stages.
    """
    island = prior_island(problem, PILOT_SIZE * problem.inference.particles, PILOT, moves=True)
    stages: list[TemperingStage] = []
    step = FIRST_STEP
    island.reweight(next_beta(island))
    while island.beta < 1.0:
        stream = problem.draws.stream(PILOT, len(island.ess))
        island.resample(stream)
        step, moved = tune(island, step, stream)
        island.acceptance.append(moved)
        stages.append(TemperingStage(island.beta, step))
        if len(stages) == MOST_STAGES:
            raise RgflowError(f"{MOST_STAGES} stages reach b = {island.beta:.3g} of 1 only; give more noise")
        island.reweight(next_beta(island))
    return TemperingSchedule((*stages, TemperingStage(1.0, 0.0))), island


def next_beta(island: Island) -> float:
    """The largest b' <= 1 at which weights w^(b' - b) keep the fraction alpha of the particles effective."""
    log_weight, low, high = island.particles.log_weight, island.beta, 1.0
    if effective_fraction((1.0 - low) * log_weight) >= KEPT_FRACTION:
        return 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2.0
        if effective_fraction((middle - island.beta) * log_weight) >= KEPT_FRACTION:
            low = middle
        else:
            high = middle
    return high if low == island.beta else low


def tune(island: Island, step: float, stream: Stream) -> tuple[float, float]:
    """Move until the acceptance suits, changing the step between trials: the step, at most a quarter turn, and the last
    fraction that moved."""
    tuning = _TUNING[move_of(island.problem)]
    moved = 0.0
    for _ in range(tuning.trials):
        moved = island.move(step, stream)
        if moved < tuning.low:
            step *= max(0.4, moved / tuning.aim)
        elif moved > tuning.high and step < QUARTER_TURN:
            step = min(1.3 * step, QUARTER_TURN)
        else:
            break
    return step, moved
