"""The finite-width tensors that Bayesian learning needs, of all train and test samples, with an error for every entry."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from rgflow.gaussian.expectations import Expectations
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.theory.initialization.finite_width import tensor_randomizations
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.bayes_errors import quadrature_errors
from rgflow.theory.learning.bayes_next import HiddenTensors, OutputTensors

TENSORS = ("K", "G1", "V")
_CERTIFIED_INPUTS = 12  # two CPU seconds per layer; the cost of quadrature grows as the fourth power


def learning_tensors(network: Network, inputs: Inputs, rtol: float = 1e-10) -> Iterator[xr.Dataset]:
    """K, G1 and V of all layers: certified for up to twelve inputs, else once for each independent set of nodes.

    K is the same in all. What is linear in G1 and V has the mean over these as its estimate, with their scatter as its error.
    """
    if len(np.unique(inputs, axis=0)) <= _CERTIFIED_INPUTS:
        yield initialization_theory(network, inputs, TENSORS, rtol)
    else:
        yield from tensor_randomizations(network, inputs, TENSORS, layer="all")


def output_tensors(tensors: xr.Dataset, depth: int) -> tuple[OutputTensors, OutputTensors]:
    """Tensors of the output layer and their errors, from those of all samples, train first, at every layer."""
    return _layer(tensors, depth), quadrature_errors(tensors, depth)


def hidden_tensors(network: Network, tensors: xr.Dataset) -> tuple[HiddenTensors, HiddenTensors]:
    """Tensors of the last hidden layer and their errors, likewise."""
    layer = network.depth - 1
    here, errors = _layer(tensors, layer), quadrature_errors(tensors, layer)
    averages = Expectations(network.activation, here.K)
    J0 = averages.jacobian(0)
    J0_errors = np.broadcast_to(averages.error * np.abs(J0).max(axis=-1, keepdims=True), J0.shape)
    return HiddenTensors(*here, J0), HiddenTensors(*errors, J0_errors)


def _layer(tensors: xr.Dataset, layer: int) -> OutputTensors:
    here = tensors.sel(layer=layer)
    return OutputTensors(*(here[name].values for name in TENSORS))
