"""Bayesian inference to order 1/n with many samples: the tensors as averages over randomized nodes, with a standard error."""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.finite_width import mean_and_error, tensor_randomizations
from rgflow.theory.learning.bayes import condition_next
from rgflow.theory.learning.bayes_tensors import TENSORS
from rgflow.theory.learning.conditioning import check_noise

_ERROR = "_error"


def bayes_theory_on_nodes(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float = 0.0,
    nodes: int,
    seed: int = 0,
) -> xr.Dataset:
    """``bayes_theory`` to order 1/n for tens of samples, where quadrature of the vertex would take minutes.

    Parameters
    ----------
    network, train_inputs, train_targets, test_inputs, noise
        As for :func:`rgflow.theory.learning.bayes.bayes_theory`.
    nodes, seed
        As for :func:`rgflow.theory.initialization.finite_width.finite_width_tensors`.

    Returns
    -------
    xr.Dataset
        As of :func:`rgflow.theory.learning.bayes.bayes_theory`. To ``<name>_error`` of the coefficients of 1/n the standard
        error over independent sets of nodes is added in quadrature; at infinite width nothing is randomized.

    Raises
    ------
    RgflowError
        As of both functions.
    """
    task = Task(train_inputs, train_targets, test_inputs)
    task.check_fits(network)
    check_noise(noise)
    network.require_plain('Bayesian inference to order "next"')
    randomizations = tensor_randomizations(network, task.inputs, TENSORS, layer="all", nodes=nodes, seed=seed)
    found = [condition_next(network, task, noise, tensors) for tensors in randomizations]
    bounds = found[0][[name for name in found[0] if str(name).endswith(_ERROR)]]
    mean = mean_and_error(one.drop_vars(bounds) for one in found)
    return mean[[name for name in found[0] if name not in bounds]].assign(
        {name: np.hypot(mean.get(name, 0.0), bound) for name, bound in bounds.items()}
    )
