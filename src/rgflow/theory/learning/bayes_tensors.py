"""The finite-width tensors that Bayesian learning needs, of all train and test samples, with an error for every entry."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import xarray as xr

from rgflow.gaussian.expectations import Expectations
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.finite_width import finite_width_cost, tensor_randomizations
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.bayes_errors import quadrature_errors
from rgflow.theory.learning.bayes_next import HiddenTensors, KernelTensors

TENSORS = ("K", "G1", "V")
_MEMORY = 8.0  # GiB
_NODES = 2**17
_CERTIFIED_INPUTS = 12  # two CPU seconds per layer; the cost of quadrature grows as the fourth power
_CERTIFIED_DEVIATION = 2.0  # of preactivations, in lengths over which sigma varies; the cost grows as its third power


def learning_tensors(network: Network, inputs: Inputs, nodes: int | None = None) -> Iterator[xr.Dataset]:
    """K, G1 and V of all layers: once, certified; or once for each of several independent sets of nodes, with the same K.

    Whatever is linear in G1 and V has its mean over these as an estimate, and their scatter as its error.

    Parameters
    ----------
    network, inputs
        As for ``initialization_theory``.
    nodes
        Nodes in each layer, a power of two, or 0 for certified quadrature. By default quadrature for up to twelve different
        inputs whose preactivations are no larger than sigma's own scale by far, else 2^17 nodes: K~^{-1} amplifies their errors
        beyond those of the tensors.
    """
    if nodes is None:
        nodes = 0 if _certifiable(network, np.asarray(inputs)) else _NODES
    if nodes == 0:
        yield initialization_theory(network, inputs, TENSORS)
    else:
        yield from tensor_randomizations(network, inputs, TENSORS, layer="all", nodes=nodes, memory=_MEMORY)


def _certifiable(network: Network, inputs: Array) -> bool:
    """Whether quadrature over all groups of four inputs takes seconds rather than minutes."""
    if len(np.unique(inputs, axis=0)) > _CERTIFIED_INPUTS:
        return False
    longest = inputs[[np.argmax((inputs**2).sum(axis=1))]]
    deviations = np.sqrt(initialization_theory(network, longest, ("K",))["K"].values.ravel())
    sigmas = [network.activation_of(layer) for layer in range(1, network.depth)]
    lengths = [math.inf if sigma.kinks else sigma.quadrature_radius for sigma in sigmas]
    return all(
        deviation <= _CERTIFIED_DEVIATION * length for deviation, length in zip(deviations[:-1], lengths, strict=True)
    )


def require_memory(network: Network, samples: int, nodes: int | None) -> None:
    """Raise one line if the tensors of so many samples do not fit into the memory that ``learning_tensors`` may take."""
    if nodes != 0 and samples > _CERTIFIED_INPUTS:
        finite_width_cost(network, samples, TENSORS, layer="all", nodes=nodes).require(_MEMORY)


def kernel_tensors(tensors: xr.Dataset, depth: int) -> tuple[KernelTensors, KernelTensors]:
    """Tensors of the output layer and their errors, from those of all samples, train first, at every layer."""
    return _layer(tensors, depth), quadrature_errors(tensors, depth)


def hidden_tensors(network: Network, tensors: xr.Dataset) -> tuple[HiddenTensors, HiddenTensors]:
    """Tensors of the last hidden layer and their errors, likewise."""
    layer = network.depth - 1
    here, errors = _layer(tensors, layer), quadrature_errors(tensors, layer)
    averages = Expectations(network.activation_of(layer), here.K)
    J0 = averages.jacobian(0)
    J0_errors = np.broadcast_to(averages.error * np.abs(J0).max(axis=-1, keepdims=True), J0.shape)
    return HiddenTensors(*here, J0), HiddenTensors(*errors, J0_errors)


def _layer(tensors: xr.Dataset, layer: int) -> KernelTensors:
    here = tensors.sel(layer=layer)
    return KernelTensors(*(here[name].values for name in TENSORS))
