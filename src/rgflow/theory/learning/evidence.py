"""Which initialization and depth do the data prefer: the Bayesian evidence over a grid of networks, to order 1/n."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain, product

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.calls import checked
from rgflow.compute.tasks import map_tasks
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.finite_width import mean_and_error
from rgflow.theory.learning.bayes import condition
from rgflow.theory.learning.bayes_errors import leading_errors, output_errors
from rgflow.theory.learning.bayes_next import output_coefficients
from rgflow.theory.learning.bayes_tensors import kernel_tensors, learning_tensors, require_memory
from rgflow.theory.learning.conditioning import check_noise, conditioning, log_evidence_bound

_LEADING = ("log_evidence", "log_evidence_error", "evidence_fit", "evidence_occam", "optimal_scale")
_NEXT = ("log_evidence1", "log_weight_variance")
_NEXT_ERRORS = tuple(f"{name}_error" for name in _NEXT)
_VARIABLES = (*_LEADING, *_NEXT, *_NEXT_ERRORS)


@checked
def evidence_map(
    activation: str | Activation,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    *,
    C_b: Iterable[float],
    C_W: Iterable[float],
    depth: Iterable[int],
    noise: float,
    nodes: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Log evidence of plain networks with equal hidden widths n, over initialization and depth (PDLT, chapter 6).

    Differences of log evidence are logarithms of Bayes factors. At width n the log evidence is ``log_evidence`` +
    ``log_evidence1``/n + O(1/n^2).

    Parameters
    ----------
    activation
        Activation, or the name of a registered one.
    train_inputs, train_targets
        Shapes (sample, feature) and (sample, output).
    C_b, C_W
        Grids of the initialization, the same in all layers.
    depth
        Depths L, each at least 1.
    noise
        Variance s^2 of the observation noise.
    nodes
        As for :func:`rgflow.theory.learning.bayes.bayes_theory`.
    workers, progress
        As for :func:`rgflow.compute.tasks.map_tasks`, over the points of the grid (C_b, C_W).

    Returns
    -------
    Dataset on (depth, C_b, C_W), as of :func:`rgflow.theory.learning.bayes.bayes_theory`: ``log_evidence`` = ``evidence_fit`` +
    ``evidence_occam`` and ``optimal_scale`` at infinite width, the coefficients of 1/n ``log_evidence1`` and
    ``log_weight_variance``, ``<name>_error``. Besides, ``log_evidence_bound``, which no log evidence can exceed, and
    ``impossible_width``, the width below which order 1/n exceeds it (0: none). NaN where a kernel or tensor overflows or is
    too large for its quadrature, or, without noise, the train kernel is singular.

    Raises
    ------
    RgflowError
        Data or noise that cannot be used, an empty grid, a value that no network can have, too many samples for memory.
    """
    task = Task(train_inputs, train_targets, train_inputs)
    check_noise(noise)
    grid = {"depth": np.array([*depth]), "C_b": np.array([*C_b]), "C_W": np.array([*C_W])}
    networks = _networks(find_activation(activation), task, grid)
    require_memory(networks[0], task.train_count, nodes)
    column = partial(_column, task, noise, grid["depth"], nodes)
    columns = dict(map_tasks(column, networks, workers, progress=progress))
    points = xr.concat([columns[index] for index in range(len(networks))], dim="point")
    shape = [len(axis) for axis in grid.values()]
    variables = {
        name: (tuple(grid), points[name].transpose("depth", "point").values.reshape(shape)) for name in _VARIABLES
    }
    attrs = {"activation": networks[0].activation.label, "noise": noise}
    return _with_bound(xr.Dataset(variables, grid, attrs), task, noise)


def _networks(activation: Activation, task: Task, grid: Mapping[str, Array]) -> list[Network]:
    """The deepest network of every point (C_b, C_W). Widths enter by their ratios alone: one neuron per hidden layer will do."""
    for name, values in grid.items():
        if not values.size:
            raise RgflowError(f"{name} is empty; at least one value is needed")
    if grid["depth"].dtype.kind != "i" or grid["depth"].min() < 1:
        raise RgflowError(f"depth = {grid['depth'].tolist()}; integers of at least 1 are needed")
    features, outputs = task.train_inputs.shape[1], task.train_targets.shape[1]
    widths = (features, *[1] * (int(grid["depth"].max()) - 1), outputs)
    return [Network(activation, widths, C_b, C_W) for C_b, C_W in product(grid["C_b"], grid["C_W"])]


def _column(task: Task, noise: float, depths: Array, nodes: int | None, network: Network) -> xr.Dataset:
    """All variables over depth at one point (C_b, C_W); missing beyond the deepest network whose tensors are finite."""
    for deepest in sorted({*depths.tolist()}, reverse=True):
        with suppress(RgflowError):
            tensors = learning_tensors(_shallower(network, deepest), task.train_inputs, nodes)
            return _over_depth(task, noise, depths[depths <= deepest], tensors).reindex(depth=depths)
    return xr.Dataset({name: ("depth", np.full(len(depths), np.nan)) for name in _VARIABLES}, {"depth": depths})


def _shallower(network: Network, depth: int) -> Network:
    widths = (*network.widths[:depth], network.widths[-1])
    return Network(network.activation, widths, network.C_b[0], network.C_W[0])


def _over_depth(task: Task, noise: float, depths: Array, tensors: Iterable[xr.Dataset]) -> xr.Dataset:
    """The variables of networks as deep as the depths, layer L of one being the output of another of depth L."""
    iterator = iter(tensors)
    first = next(iterator)
    quadrature = _each(depths, partial(_leading, task, noise, first), (*_LEADING, *_NEXT_ERRORS))
    sampled = mean_and_error(
        _each(depths, partial(_coefficients, task, noise, each), _NEXT) for each in chain([first], iterator)
    )
    errors = {name: np.hypot(quadrature[name], sampled[name]) for name in _NEXT_ERRORS if name in sampled}
    return quadrature.merge(sampled[[*_NEXT]]).assign(errors)


def _each(depths: Array, evaluate: Callable[[int], Mapping[str, Array]], names: tuple[str, ...]) -> xr.Dataset:
    """The named variables over depth, NaN where the train kernel is singular."""
    found: list[Mapping[str, Array]] = []
    for depth in depths.tolist():
        try:
            found.append(evaluate(depth))
        except RgflowError:
            found.append(dict.fromkeys(names, np.asarray(np.nan)))
    return xr.Dataset(
        {name: ("depth", np.array([float(each[name]) for each in found])) for name in names}, {"depth": depths}
    )


def _leading(task: Task, noise: float, tensors: xr.Dataset, depth: int) -> dict[str, Array]:
    """Infinite width, and all errors of quadrature."""
    output, errors = kernel_tensors(tensors, depth)
    given = conditioning(output.K, task.train_targets, noise)
    bounds = leading_errors(given, errors.K) | output_errors(given, output, errors)
    values = condition(np.tile(output.K, (2, 2)), task, noise)
    named = {f"{name}_error": bound for name, bound in bounds.items()}
    return named | {name: values[name].values for name in _LEADING if name in values}


def _coefficients(task: Task, noise: float, tensors: xr.Dataset, depth: int) -> dict[str, Array]:
    output, _ = kernel_tensors(tensors, depth)
    return output_coefficients(conditioning(output.K, task.train_targets, noise), output)


def _with_bound(found: xr.Dataset, task: Task, noise: float) -> xr.Dataset:
    """Add the largest possible log evidence, and the width below which order 1/n exceeds it."""
    bound = log_evidence_bound(task.train_targets.shape[1], task.train_count, noise)
    width = (found["log_evidence1"] / (bound - found["log_evidence"])).clip(min=0.0)
    return found.assign(log_evidence_bound=bound, impossible_width=width)
