"""Which initialization and depth do the data prefer: the Bayesian evidence over a grid of networks, to order 1/n."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import product

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.activations.registry import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.calls import checked
from rgflow.compute import map_tasks
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.bayes import condition
from rgflow.theory.learning.bayes_errors import leading_errors, output_errors
from rgflow.theory.learning.bayes_next import output_coefficients
from rgflow.theory.learning.bayes_tensors import TENSORS, output_tensors
from rgflow.theory.learning.conditioning import check_noise, conditioning, log_evidence_bound

_LEADING = ("log_evidence", "log_evidence_error", "evidence_fit", "evidence_occam", "optimal_scale")
_NEXT = ("log_evidence1", "log_evidence1_error", "log_weight_variance", "log_weight_variance_error")
_VARIABLES = (*_LEADING, *_NEXT)


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
    rtol: float = 1e-8,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> xr.Dataset:
    """Log evidence of plain networks with equal hidden widths n, over initialization and depth.

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
    rtol
        Relative accuracy asked of every Gaussian average.
    workers, progress
        As for :func:`rgflow.compute.map_tasks`, over the points of the grid (C_b, C_W).

    Returns
    -------
    Dataset on (depth, C_b, C_W), as of :func:`rgflow.theory.learning.bayes.bayes_theory`: ``log_evidence`` = ``evidence_fit`` +
    ``evidence_occam`` and ``optimal_scale`` at infinite width, the coefficients of 1/n ``log_evidence1`` and
    ``log_weight_variance``, ``<name>_error``. Besides, ``log_evidence_bound``, which no log evidence can exceed, and
    ``impossible_width``, the width below which order 1/n exceeds it (0: none). NaN where a kernel or tensor overflows or,
    without noise, the train kernel is singular.

    Raises
    ------
    RgflowError
        Data or noise that cannot be used, an empty grid, a value that no network can have.
    """
    task = Task(train_inputs, train_targets, train_inputs)
    check_noise(noise)
    grid = {"depth": np.array([*depth]), "C_b": np.array([*C_b]), "C_W": np.array([*C_W])}
    networks = _networks(find_activation(activation), task, grid)
    column = partial(_column, task, noise, grid["depth"], rtol)
    columns = dict(map_tasks(column, networks, workers, progress=progress))
    stacked = np.stack([columns[index] for index in range(len(networks))], axis=-1)
    values = stacked.reshape(len(_VARIABLES), *(len(axis) for axis in grid.values()))
    variables = {name: (tuple(grid), value) for name, value in zip(_VARIABLES, values, strict=True)}
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


def _column(task: Task, noise: float, depths: Array, rtol: float, network: Network) -> Array:
    """All variables at one point (C_b, C_W), (variable, depth); layer L of the deepest network is the output of depth L."""
    tensors = _tensors_as_deep_as_finite(network, task, depths, rtol)
    return np.stack([_evidence(task, noise, tensors, int(depth)) for depth in depths], axis=-1)


def _tensors_as_deep_as_finite(network: Network, task: Task, depths: Array, rtol: float) -> xr.Dataset | None:
    """K, G1 and V of the largest of the depths at which they are finite; None if there is none."""
    for depth in sorted({*depths.tolist()}, reverse=True):
        shallow = Network(
            network.activation, (*network.widths[:depth], network.widths[-1]), network.C_b[0], network.C_W[0]
        )
        with suppress(RgflowError):
            return initialization_theory(shallow, task.train_inputs, TENSORS, rtol)
    return None


def _evidence(task: Task, noise: float, tensors: xr.Dataset | None, depth: int) -> Array:
    """The variables of one network; NaN where tensors do not reach or the train kernel is singular."""
    missing = np.full(len(_VARIABLES), np.nan)
    if tensors is None or depth > tensors.sizes["layer"]:
        return missing
    output, errors = output_tensors(tensors, depth)
    try:
        given = conditioning(output.K, task.train_targets, noise)
    except RgflowError:
        return missing
    leading = condition(np.tile(output.K, (2, 2)), task, noise)
    values = {str(name): leading[name].values for name in leading} | output_coefficients(given, output)
    bounds = leading_errors(given, errors.K) | output_errors(given, output, errors)
    values |= {f"{name}_error": bound for name, bound in bounds.items()}
    return np.array([values[name] for name in _VARIABLES])


def _with_bound(found: xr.Dataset, task: Task, noise: float) -> xr.Dataset:
    """Add the largest possible log evidence, and the width below which order 1/n exceeds it."""
    bound = log_evidence_bound(task.train_targets.shape[1], task.train_count, noise)
    width = (found["log_evidence1"] / (bound - found["log_evidence"])).clip(min=0.0)
    return found.assign(log_evidence_bound=bound, impossible_width=width)
