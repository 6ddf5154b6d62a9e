"""Errors of the posterior, from those of the tensors that it is calculated from.

Every formula is a sum of products. Bounded by absolute values term by term, it changes by no more than the bound grows when each
factor grows by its error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr

from rgflow.theory.initialization.contraction import Array, outer
from rgflow.theory.learning.bayes_next import (
    HiddenTensors,
    KernelTensors,
    metric_parts,
    output_coefficients,
)
from rgflow.theory.learning.conditioning import Conditioning

_EPS = float(np.finfo(np.float64).eps)


def leading_errors(given: Conditioning, K_error: Array) -> dict[str, Array]:
    """Errors of posterior mean, covariance and log evidence at infinite width."""
    return metric_parts(given.majorant(), K_error)


def output_errors(given: Conditioning, tensors: KernelTensors, errors: KernelTensors) -> dict[str, Array]:
    """Errors of ``output_coefficients``."""
    absolute, sizes = given.majorant(), KernelTensors(*map(np.abs, tensors))
    grown = KernelTensors(*map(np.add, sizes, errors))
    return _growth(output_coefficients(absolute, sizes), output_coefficients(absolute.perturbed(errors.K), grown))


def hidden_errors(
    given: Conditioning,
    K_error: Array,
    hidden: HiddenTensors,
    errors: HiddenTensors,
    coefficients: Callable[[Array, HiddenTensors], dict[str, Array]],
) -> dict[str, Array]:
    """Errors of ``hidden_coefficients`` of the network at hand; K_error is that of the output layer."""
    absolute, sizes = given.majorant(), HiddenTensors(*map(np.abs, hidden))
    grown = HiddenTensors(*map(np.add, sizes, errors))
    mismatch = absolute.perturbed(K_error).mismatch
    return _growth(coefficients(absolute.mismatch, sizes), coefficients(mismatch, grown))


def _growth(before: Mapping[str, Array], after: Mapping[str, Array]) -> dict[str, Array]:
    return {name: after[name] - before[name] for name in before}


def quadrature_errors(tensors: xr.Dataset, layer: int) -> KernelTensors:
    """Errors of K, G1 and V of a layer by entry, from the largest relative error of the averages in all layers up to it.

    They are relative to the size of what is averaged: sqrt(K_aa K_bb) and, with kappa_a^4 = K_aa^2 + V_(aa)(aa),
    kappa_a kappa_b kappa_c kappa_d for V; for G1 to the mean of |G1_aa| + V_(aa)(aa)/K_aa of both inputs.
    """
    relative = float(tensors["quadrature_error"].sel(layer=slice(1, layer)).sum()) + layer * _EPS
    here = tensors.sel(layer=layer)
    variance = np.diag(here["K"].values)
    vertex = np.abs(np.einsum("aaaa->a", here["V"].values))
    metric = np.abs(np.diag(here["G1"].values)) + vertex / np.where(variance > 0.0, variance, 1.0)
    kappa = (variance**2 + vertex) ** 0.25
    return KernelTensors(
        K=relative * np.sqrt(np.multiply.outer(variance, variance)),
        G1=relative * np.add.outer(metric, metric) / 2,
        V=relative * outer(np.multiply.outer(kappa, kappa), np.multiply.outer(kappa, kappa)),
    )
