"""Where the Gaussian averages of a layer come from: certified quadrature, or quadrature for pairs and nodes for four inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.random import SeedSequence

from rgflow.activations.registry import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.averages import Averages
from rgflow.gaussian.derivatives import DerivativeExpectations
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.node_sums import NodeSums
from rgflow.gaussian.randomized import Control, RandomizedAverages
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array

LayerAverages = Callable[[int, Array], Averages]
"""(l, K of layer l) -> averages over one neuron of layer l."""

RANDOMIZATIONS = 8
_FEWEST_NODES = 16 * RANDOMIZATIONS
_PILOT_INPUTS = 8
_RTOL = 1e-9  # of products of high derivatives, whose poles take many nodes


def certified(network: Network) -> LayerAverages:
    """Quadrature with an error estimate that is held to a tolerance, for few inputs."""
    return lambda layer, K: _quadrature(network.activation_of(layer), K)


def randomized(network: Network, nodes: int, seed: int) -> Iterator[LayerAverages]:
    """Independent sets of nodes, `nodes` in all in each layer; pairs of inputs are integrated exactly and once.

    Raises
    ------
    RgflowError
        `nodes` is not a power of two, or too small to be split.
    """
    if nodes < _FEWEST_NODES or nodes & (nodes - 1):
        raise RgflowError(f"nodes = {nodes}; allowed: a power of two, at least {_FEWEST_NODES}")
    shared: dict[int, _Shared] = {}

    def averages(randomization: int, layer: int, K: Array) -> Averages:
        sigma, count = network.activation_of(layer), nodes // RANDOMIZATIONS
        if layer not in shared:
            shared[layer] = _share(sigma, K, count, SeedSequence((seed, layer)))
        sums = NodeSums(sigma, K, count, SeedSequence((seed, layer, randomization)))
        return RandomizedAverages(shared[layer].exact, sums, shared[layer].control)

    return (partial(averages, randomization) for randomization in range(RANDOMIZATIONS))


def _quadrature(sigma: Activation, K: Array) -> Expectations:
    return Expectations(sigma, K) if sigma.kinks else DerivativeExpectations(sigma, K, _RTOL)


class _Shared(NamedTuple):
    """What all randomizations of a layer have in common."""

    exact: Expectations
    control: Control


def _share(sigma: Activation, K: Array, count: int, seed: SeedSequence) -> _Shared:
    exact = _quadrature(sigma, K)
    exact.hessian(1)  # the highest order first: one table serves all, and every randomization alike
    few = np.unique(np.linspace(0, len(K) - 1, _PILOT_INPUTS).astype(int))
    sums = [NodeSums(sigma, K[np.ix_(few, few)], count, key) for key in seed.spawn(RANDOMIZATIONS)]
    return _Shared(exact, Control(exact, sums, few))
