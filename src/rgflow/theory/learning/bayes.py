"""Bayesian inference with wide networks: the prior of the outputs conditioned on the train data, to order 1/n."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.task import Task
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.finite_width import mean_and_error
from rgflow.theory.learning.bayes_errors import hidden_errors, leading_errors, output_errors
from rgflow.theory.learning.bayes_next import HiddenTensors, hidden_coefficients, output_coefficients
from rgflow.theory.learning.bayes_tensors import hidden_tensors, kernel_tensors, learning_tensors
from rgflow.theory.learning.conditioning import (
    Conditioning,
    check_noise,
    conditioning,
    log_evidence_bound,
    noisy_spectrum,
)
from rgflow.theory.learning.output import output_kernels

Order = Literal["leading", "next"]
Named = dict[str, Array]

_PAIR = ("sample_1", "sample_2")
_DIMS = {
    "posterior_mean": ("sample", "output"),
    "posterior_covariance": _PAIR,
    "hidden_kernel": _PAIR,
    "preactivation_kernel": _PAIR,
}


@checked
def bayes_theory(
    network: Network,
    train_inputs: ArrayLike,
    train_targets: ArrayLike,
    test_inputs: ArrayLike,
    *,
    noise: float = 0.0,
    order: Order = "next",
    nodes: int | None = None,
) -> xr.Dataset:
    """Condition wide networks on train data: infinite width, and the coefficients of 1/n, n = n_{L-1}.

    At infinite width the prior of the outputs is Gaussian with the output kernel K, independent over the n_L components; a
    train target is the output plus Gaussian noise. With K~ = K_AA + noise and M = K_{.A} K~^{-1} on the train set A:

    * posterior mean M y, posterior covariance K - M K_{A.} of each component,
    * log evidence -1/2 sum_i y_i^T K~^{-1} y_i - n_L/2 log det(2 pi K~), a term for the fit and an Occam penalty,
    * the scale c* = sum_i y_i^T K~^{-1} y_i / (n_L N_A) by which K~ -> c K~ has the largest evidence.

    To order 1/n the metric G1 and the vertex V correct all of them, couple different outputs (a product of their activities, as
    in Hebbian learning), and the last hidden layer learns: its kernel shifts by V Y/(2n), Y = sum_i v_i v_i^T - n_L K~^{-1},
    v = K~^{-1} y (PDLT chapter 6). A quantity X is X + X1/n + O(1/n^2); widths enter the coefficients by their ratios.

    Parameters
    ----------
    network
        The network. At order "leading" only depth, activation, C_b and C_W matter.
    train_inputs, test_inputs
        Shape (sample, feature).
    train_targets
        Shape (sample, output).
    noise
        Variance s^2 of the observation noise; 0 needs an invertible train kernel.
    order
        "leading" for infinite width alone; "next" needs a plain network.
    nodes
        How V and G1 are averaged: 0 by certified quadrature, at a cost that grows as the fourth power of the number of samples,
        else on so many randomized nodes per layer, a power of two. By default quadrature for up to twelve samples whose
        preactivations are not far larger than sigma's own scale, else 2^17 nodes. Little noise and a nearly singular kernel
        amplify the errors of nodes.

    Returns
    -------
    xr.Dataset
        On samples train then test (coordinate ``role``), of noiseless outputs:

        * ``posterior_mean`` (sample, output), ``posterior_covariance`` (sample_1, sample_2), ``K_output`` (sample_1, sample_2);
          scalars ``log_evidence`` = ``evidence_fit`` + ``evidence_occam``, ``log_evidence_bound`` = -n_L N_A/2 log(2 pi noise),
          which no prior can exceed, and ``optimal_scale``.
        * Order "next": ``posterior_mean1`` (sample, output), ``posterior_covariance1`` (output_1, output_2, sample_1, sample_2),
          ``log_evidence1``; of these ``<name>_metric`` is the part of G1, ``<name>_vertex`` that of V, the same for every output,
          and ``posterior_covariance1_hebbian`` the rest.
        * ``hidden_kernel``, ``hidden_kernel1`` (sample_1, sample_2): C_b + C_W/n sum_j sigma_j sigma_j of the last hidden layer,
          averaged over the posterior; ``hidden_kernel1_learned`` is what the data add to the prior's G1.
        * ``preactivation_kernel``, ``preactivation_kernel1`` (sample_1, sample_2): E[z_j z_j | y] of that layer, the coefficient
          split into ``preactivation_kernel1_prior``, ``_same`` (learned by the neuron itself) and ``_other`` (by the layers
          below it, together with all others); absent from a network without hidden layer.
        * ``log_weight_variance`` c: the log likelihood varies by c/n among networks of the prior, and
          ``effective_sample_fraction`` = exp(-c/n) of them count.

        ``<name>_error`` of every quantity and coefficient: what errors of quadrature can amount to at most, and with nodes their
        standard error.

    Raises
    ------
    RgflowError
        Data that do not fit the network, negative noise, an unknown order, a residual network at order "next", or a train
        kernel plus noise that is singular.
    """
    task = Task(train_inputs, train_targets, test_inputs)
    task.check_fits(network)
    check_noise(noise)
    if order not in get_args(Order):
        raise RgflowError(f"order = {order!r}; allowed: {', '.join(get_args(Order))}")
    if order == "leading":
        K, _ = output_kernels(network, task.inputs)
        return condition(K, task, noise)
    network.require_plain('Bayesian inference to order "next"')
    return condition_next(network, task, noise, learning_tensors(network, task.inputs, nodes))


def condition(K: Array, task: Task, noise: float) -> xr.Dataset:
    """Condition the Gaussian prior with covariance K of all samples on the train targets, as ``bayes_theory`` does."""
    kappa, modes = noisy_spectrum(K[: task.train_count, : task.train_count], noise)
    M = K[:, : task.train_count] @ (modes / kappa) @ modes.T
    unit_fit = np.sum((modes.T @ task.train_targets) ** 2 / kappa[:, None])
    outputs = task.train_targets.shape[1]
    fit = -0.5 * unit_fit
    occam = -0.5 * outputs * np.log(2.0 * np.pi * kappa).sum()
    return xr.Dataset(
        {
            "posterior_mean": (("sample", "output"), M @ task.train_targets),
            "posterior_covariance": (_PAIR, _posterior_covariance(K, M, noise)),
            "K_output": (_PAIR, K),
            "log_evidence": fit + occam,
            "evidence_fit": fit,
            "evidence_occam": occam,
            "log_evidence_bound": log_evidence_bound(outputs, task.train_count, noise),
            "optimal_scale": unit_fit / (outputs * task.train_count),
        },
        task.coordinates,
    )


def condition_next(network: Network, task: Task, noise: float, tensors: Iterable[xr.Dataset]) -> xr.Dataset:
    """``bayes_theory`` to order 1/n from the tensors of all samples, train first, as ``learning_tensors`` yields them."""
    iterator = iter(tensors)
    first = next(iterator)
    kernels = _leading_kernels(network, first)
    given = conditioning(kernels["hidden_kernel"], task.train_targets, noise)
    found = mean_and_error(map(partial(_coefficients, network, given), chain([first], iterator)))
    found = _with_quadrature(found, _quadrature_errors(network, given, first))
    fraction = np.exp(-found["log_weight_variance"] / network.widths[-2])
    result = condition(kernels["hidden_kernel"], task, noise)
    return (
        result.assign({name: (_PAIR, kernel) for name, kernel in kernels.items()})
        .merge(found)
        .assign(
            effective_sample_fraction=fraction,
            effective_sample_fraction_error=fraction * found["log_weight_variance_error"] / network.widths[-2],
        )
    )


def _leading_kernels(network: Network, tensors: xr.Dataset) -> Named:
    """Kernels of the last hidden layer at infinite width, which learns nothing there."""
    layers = {"hidden_kernel": network.depth, "preactivation_kernel": network.depth - 1}
    return {name: tensors["K"].sel(layer=layer).values for name, layer in layers.items() if layer}


def _coefficients(network: Network, given: Conditioning, tensors: xr.Dataset) -> xr.Dataset:
    """All coefficients of 1/n."""
    output, _ = kernel_tensors(tensors, network.depth)
    values = output_coefficients(given, output)
    if network.depth > 1:
        hidden, _ = hidden_tensors(network, tensors)
        values |= _learn(network)(given.mismatch, hidden)
    return xr.Dataset({name: (_dims(name), value) for name, value in values.items()})


def _quadrature_errors(network: Network, given: Conditioning, tensors: xr.Dataset) -> Named:
    """What the errors of quadrature amount to in all quantities and coefficients."""
    output, errors = kernel_tensors(tensors, network.depth)
    bounds = {"hidden_kernel": errors.K, **leading_errors(given, errors.K), **output_errors(given, output, errors)}
    if network.depth > 1:
        hidden, below = hidden_tensors(network, tensors)
        learned = hidden_errors(given, errors.K, hidden, below, _learn(network))
        bounds |= {"preactivation_kernel": below.K, **learned}
    return bounds


def _learn(network: Network) -> Callable[[Array, HiddenTensors], Named]:
    _, C_W, _, _ = network.hyperparameters(network.depth)
    return partial(hidden_coefficients, C_W=C_W, rho=network.ratio(network.depth - 1))


def _with_quadrature(found: xr.Dataset, bounds: Named) -> xr.Dataset:
    """Add errors of quadrature to those, if any, of estimates on nodes."""
    errors = {f"{name}_error": (_dims(name), bound) for name, bound in bounds.items()}
    sampled = {name: found[name].values for name in errors if name in found}
    return found.assign(
        errors | {name: (errors[name][0], np.hypot(errors[name][1], own)) for name, own in sampled.items()}
    )


def _dims(name: str) -> tuple[str, ...]:
    """Of a quantity, of its coefficient of 1/n or of a part of this; only the covariance's coefficient couples outputs."""
    if name in ("posterior_covariance1", "posterior_covariance1_hebbian"):
        return ("output_1", "output_2", *_PAIR)
    return _DIMS.get(name.partition("1")[0], ())


def _posterior_covariance(K: Array, M: Array, noise: float) -> Array:
    """Return K - M K_{A.} as J K J^T + noise M M^T, J = 1 - M: with a root of K, so that no rounding makes it negative."""
    kappa, modes = np.linalg.eigh(K)
    root = modes * np.sqrt(np.maximum(kappa, 0.0))
    root -= M @ root[: M.shape[1]]
    return np.asarray(root @ root.T + noise * M @ M.T)
