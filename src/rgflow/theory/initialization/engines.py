"""Where the Gaussian averages of a layer come from: certified quadrature, or quadrature for pairs and nodes for four inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.random import SeedSequence

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.averages import Averages
from rgflow.gaussian.derivatives import DerivativeExpectations
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.node_sums import NodeSums
from rgflow.gaussian.randomized import Control, PairAverages, RandomizedAverages
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
        As `require_nodes`.
    """
    require_nodes(nodes)
    shared: dict[int, Shared] = {}

    def averages(randomization: int, layer: int, K: Array) -> Averages:
        if layer not in shared:
            shared[layer] = share(network, layer, K, nodes, seed)
            _prepare(shared[layer].exact, network.activation_of(layer))
        sums = NodeSums(network.activation_of(layer), K, nodes // RANDOMIZATIONS, node_key(seed, layer, randomization))
        return RandomizedAverages(shared[layer].exact, sums, shared[layer].control)

    return (partial(averages, randomization) for randomization in range(RANDOMIZATIONS))


def require_nodes(nodes: int) -> None:
    """Raise one line unless `nodes` is a power of two and large enough to be split."""
    if nodes < _FEWEST_NODES or nodes & (nodes - 1):
        raise RgflowError(f"nodes = {nodes}; allowed: a power of two, at least {_FEWEST_NODES}")


def pairwise(network: Network) -> LayerAverages:
    """Quadrature for all that no more than two inputs decide, and zeros for the rest."""
    return lambda layer, K: PairAverages(_quadrature(network.activation_of(layer), K), len(K))


class Shared(NamedTuple):
    """What all randomizations of a layer have in common."""

    exact: Expectations
    control: Control


def share(network: Network, layer: int, K: Array, nodes: int, seed: int) -> Shared:
    """Exact averages over pairs and the controls, whose coefficients come from few inputs with nodes of their own."""
    sigma, count = network.activation_of(layer), nodes // RANDOMIZATIONS
    exact = _quadrature(sigma, K)
    few = np.unique(np.linspace(0, len(K) - 1, _PILOT_INPUTS).astype(int))
    keys = SeedSequence((seed, layer)).spawn(RANDOMIZATIONS)
    sums = [NodeSums(sigma, K[np.ix_(few, few)], count, key) for key in keys]
    return Shared(exact, Control(exact, K, few, sums))


def node_key(seed: int, layer: int, randomization: int) -> SeedSequence:
    """The key of one set of nodes."""
    return SeedSequence((seed, layer, randomization))


def _prepare(exact: Expectations, sigma: Activation) -> None:
    """Evaluate pairs at the highest order first: one table then serves all, and all randomizations alike to the bit."""
    if not sigma.kinks:
        exact.hessian(1)


def _quadrature(sigma: Activation, K: Array) -> Expectations:
    return Expectations(sigma, K) if sigma.kinks else DerivativeExpectations(sigma, K, _RTOL)
