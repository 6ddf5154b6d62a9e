"""Diagnostics of the move at the posterior in the field's terms: R-hat, effective sample size, Monte Carlo error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.calls import checked
from rgflow.compute.machine import find_device, one_thread
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.posterior.memory import check_memory
from rgflow.posterior.predict import given_kernel, hidden_kernels, with_test_rows
from rgflow.posterior.problem import Problem
from rgflow.posterior.spec import (
    FEWEST_ISLANDS,
    MOST_ISLANDS,
    Dtype,
    Inference,
    TemperingSchedule,
    check_count,
    check_problem,
)
from rgflow.posterior.tempering import FIRST_STEP, Island, run_island, run_pilot, tune
from rgflow.task import Task

FEWEST_DRAWS, MOST_DRAWS = 4, 2**16
_PILOT_MOVES = "pilot moves at b = 1"


@checked
def posterior_diagnostics(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float,
    islands: int = 8,
    particles: int = 16,
    draws: int = 20,
    seed: int,
    dtype: Dtype = "float64",
    device: str = "auto",
) -> xr.Dataset:
    """Whether the moves of a sampled posterior forget: chains of further moves at the posterior itself.

    Islands are sampled as by :func:`rgflow.posterior.blocks.sample_posterior` and resampled; every particle then is a
    chain, and the particles of an island a superchain. Only functions that do not depend on the numbering of neurons are
    looked at.

    Parameters
    ----------
    network, train_inputs, train_targets, test_inputs, noise, seed, dtype, device
        As for :func:`rgflow.posterior.blocks.sample_posterior`.
    islands, particles
        Superchains and the chains in each.
    draws
        Moves of each chain that are looked at.

    Returns
    -------
    xr.Dataset
        On ``quantity``, which are ``log_weight`` = log w, ``alignment`` = sum_i y_i^T Ghat y_i / N_A^2, ``trace`` =
        tr Ghat_AA / N_A, and the means of the test outputs given the hidden layers, ``mean[sample, output]``: ``mean``,
        ``mcse`` its Monte Carlo standard error, ``ess_bulk``, ``ess_tail`` and ``rhat_nested``, all by arviz-stats. Of
        all draws: ``acceptance`` and the ``step`` of the move.

    Raises
    ------
    RgflowError
        As of :func:`rgflow.posterior.blocks.sample_posterior`; arviz-stats is missing.
    """
    statistics = _arviz()
    task = Task(train_inputs, train_targets, test_inputs)
    inference = Inference(noise, particles, seed, dtype)
    labels = range(check_count("islands", islands, FEWEST_ISLANDS, MOST_ISLANDS))
    check_count("draws", draws, FEWEST_DRAWS, MOST_DRAWS)
    check_problem(network, task, inference.noise)
    problem = Problem(network, task, inference, find_device(device))
    check_memory(problem, None, 0)
    with one_thread(), torch.no_grad():
        schedule, step = _pilot(problem)
        chains, moved = zip(*(_island_chains(problem, schedule, step, label, draws) for label in labels), strict=True)
    values = xr.DataArray(np.concatenate(chains, 1), {"quantity": _names(task)}, ("quantity", "chain", "draw"))
    superchains = np.repeat(np.arange(islands), particles).tolist()
    return xr.Dataset(
        {
            "mean": values.mean(("chain", "draw")),
            "mcse": statistics.mcse(values, method="mean"),
            "ess_bulk": statistics.ess(values, method="bulk"),
            "ess_tail": statistics.ess(values, method="tail"),
            "rhat_nested": statistics.rhat_nested(values, superchain_ids=superchains),
            "acceptance": np.mean(moved),
            "step": step,
        }
    )


def _arviz() -> Any:
    """arviz_stats with all of its functions; without its extra it comes, silently, without those on xarray."""
    with suppress(ImportError):
        import arviz_stats

        if hasattr(arviz_stats, "rhat_nested"):
            return arviz_stats
    raise RgflowError("posterior_diagnostics needs arviz-stats: pip install 'arviz-stats[xarray]' arviz-base")


def _pilot(problem: Problem) -> tuple[TemperingSchedule, float]:
    """The schedule, and a step tuned at b = 1."""
    schedule, island = run_pilot(problem)
    stream = problem.draws.stream(_PILOT_MOVES, 0)
    island.resample(stream)
    step, _ = tune(island, max(stage.step for stage in schedule.stages) or FIRST_STEP, stream)
    return schedule, step


def _island_chains(
    problem: Problem, schedule: TemperingSchedule, step: float, label: int, draws: int
) -> tuple[np.ndarray, float]:
    """Chains (quantity, particle, draw) of an island and the fraction of moves accepted."""
    _, island = run_island(problem, schedule, label, moves=True)
    island.resample(problem.draws.stream(label, "at the end"))
    states, moved = [], 0.0
    for draw in range(draws):
        moved += island.move(step, problem.draws.stream(label, f"further {draw}")) / draws
        states.append(torch.cat(list(_quantities(problem, island, f"{label}, {draw}")), 1))
    return torch.stack(states).permute(2, 1, 0).cpu().numpy(), moved


def _quantities(problem: Problem, island: Island, label: str) -> Iterator[torch.Tensor]:
    """(particles, quantities), some at a time along the quantities."""
    A, y = problem.task.train_count, problem.targets
    Ghat = hidden_kernels(problem, with_test_rows(problem, island.particles.u, label))
    train = Ghat[:, :A, :A]
    yield island.particles.log_weight[:, None]
    yield torch.einsum("ai,pab,bi->p", y, train, y)[:, None] / A**2
    yield train.diagonal(dim1=1, dim2=2).sum(1, keepdim=True) / A
    means, _ = given_kernel(problem, Ghat)
    yield means.view(len(Ghat), y.shape[1], -1)[:, :, A:].mT.flatten(1)


def _names(task: Task) -> list[str]:
    samples, outputs = range(task.train_count, len(task.inputs)), range(task.train_targets.shape[1])
    return ["log_weight", "alignment", "trace", *(f"mean[{a}, {i}]" for a in samples for i in outputs)]
