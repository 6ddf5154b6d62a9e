"""Particles of an island: weights, effective sample size, resampling."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.posterior.draws import Stream
from rgflow.posterior.layers import Rows
from rgflow.posterior.problem import Problem


class Particles(NamedTuple):
    """Networks in whitened variables.

    Attributes
    ----------
    u
        (particles, rows, n_l) of each hidden layer.
    log_weight
        log w (particles,) float64.
    gradient
        Of log w, shaped as u; empty where no move needs it.
    """

    u: Rows
    log_weight: Tensor
    gradient: Rows

    def take(self, chosen: Tensor) -> Particles:
        """The chosen particles, by number; repetition allowed."""
        u, gradient = ([layer[chosen] for layer in rows] for rows in (self.u, self.gradient))
        return Particles(u, self.log_weight[chosen], gradient)

    def where(self, accepted: Tensor, other: Particles) -> Particles:
        """Own particles where accepted, those of ``other`` elsewhere."""
        mask = accepted[:, None, None]
        u, gradient = (
            [torch.where(mask, mine, its) for mine, its in zip(*pair, strict=True)]
            for pair in ((self.u, other.u), (self.gradient, other.gradient))
        )
        return Particles(u, torch.where(accepted, self.log_weight, other.log_weight), gradient)


def evaluated(problem: Problem, u: Rows, gradient: bool) -> Particles:
    """Particles at u, with the gradient if it is wanted."""
    if not gradient:
        return Particles(u, problem.log_weight(u), [])
    log_weight, rows = problem.with_gradient(u)
    return Particles(u, log_weight, rows)


def prior_particles(problem: Problem, count: int, stream: Stream, gradient: bool) -> Particles:
    """Draws of the prior: white noise."""
    return evaluated(problem, white(problem, count, stream), gradient)


def white(problem: Problem, count: int, stream: Stream) -> Rows:
    """White noise in the shape of u."""
    dtype = problem.inference.torch_dtype()
    return [stream.normals((count, *shape), dtype) for shape in problem.train.shapes()]


def log_mean_exp(values: Tensor) -> float:
    """Logarithm of the mean of exp(values); -inf if all are."""
    return float(torch.logsumexp(values, 0)) - math.log(len(values))


def effective_fraction(log_weights: Tensor) -> float:
    """Effective sample size (sum W)^2 / sum W^2 of weights, as a fraction of their number; zero if all weights are."""
    if not bool((log_weights > -math.inf).any()):
        return 0.0
    return math.exp(2.0 * log_mean_exp(log_weights) - log_mean_exp(2.0 * log_weights))


def systematic(log_weights: Tensor, uniform: Tensor) -> Tensor:
    """Numbers of resampled particles: each appears floor or ceil of (its share of the weight) x (particles) times."""
    count = len(log_weights)
    cumulated = torch.softmax(log_weights, 0).cumsum(0)
    places = (torch.arange(count, dtype=torch.float64, device=log_weights.device) + uniform) / count
    below_one = places.clamp_(max=1.0 - 2.0**-53)  # rounding may have reached 1, and a last particle without weight
    return torch.searchsorted(cumulated / cumulated[-1], below_one, right=True)
