"""All leading finite-width tensors of a network by one function: by quadrature for few inputs, on nodes for many.

Few inputs get certified quadrature. For many, the four-input averages that feed the recursions are means over randomized
nodes, and the recursions run once for each of a few independent randomizations: whatever is linear in the tensors, they
themselves included, has their mean as its estimate and their scatter as its error.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
import xarray as xr

from rgflow.calls import checked
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.cost import BLOCK, TheoryCost, certified_cost, pairwise_cost, randomized_cost
from rgflow.theory.initialization.differentials import DNTK_RECURSIONS
from rgflow.theory.initialization.engines import LayerAverages, certified, pairwise, randomized
from rgflow.theory.initialization.layers import Tensors, labelled, stacked, walk
from rgflow.theory.initialization.tensors import (
    ARCHITECTURES,
    Recursions,
    first_layer,
    known_tensors,
    next_layer,
    with_dependencies,
)

WhichLayers = Literal["last", "all"]

_CERTIFIED_INPUTS = 6
_NODES = 2**14


@checked
def finite_width_tensors(
    network: Network,
    inputs: Inputs,
    tensors: Iterable[str] | None = None,
    *,
    layer: WhichLayers = "last",
    nodes: int | None = None,
    seed: int = 0,
    memory: float = 8.0,
) -> xr.Dataset:
    """K, G1, V, Theta, Theta1, D, F, A, B, P, Q, R, S, T, U between all inputs, with their numerical errors.

    PDLT, chapters 4, 8, 11 and infinity.

    Parameters
    ----------
    network
        The network; of its widths only ratios enter.
    inputs
        (sample, feature) array of N inputs; repeated or parallel inputs are fine.
    tensors
        Names of the tensors wanted; only what these need is evaluated. By default all that exist: the fifteen above for a
        smooth activation, those up to B for one with kinks, and K, G1, T3, V, Theta for a residual network.
    layer
        "last" for the output layer, "all" for every layer.
    nodes
        Number of nodes in each layer, a power of two. By default up to 6 different inputs are certified by quadrature
        and more get 2^14 nodes. K, G1, Theta and Theta1 alone are certified for any number of inputs. Errors fall about
        as nodes^(-0.65).
    seed
        Key of the randomization; equal seeds give equal results.
    memory
        GiB that may be used.

    Returns
    -------
    Dataset on ``layer`` and ``sample_1`` .. ``sample_4`` with the normalization and slots of
    :func:`rgflow.initialization_theory` and :func:`rgflow.dntk_theory`. ``quadrature_error`` (layer) is the largest estimated
    relative error of quadrature. With nodes, ``<name>_error`` is the standard error of every entry, as in `mean_and_error`,
    and zero for K, Theta and T3; errors of different entries are correlated, so the error of what is made of many
    entries comes from `tensor_randomizations`.

    Raises
    ------
    RgflowError
        Unusable inputs, an unknown tensor or one that does not exist for this network, too much memory, nodes that are
        not a power of two, or an average that cannot be evaluated.
    """
    return mean_and_error(
        tensor_randomizations(network, inputs, tensors, layer=layer, nodes=nodes, seed=seed, memory=memory)
    )


def tensor_randomizations(
    network: Network,
    inputs: Inputs,
    tensors: Iterable[str] | None = None,
    *,
    layer: WhichLayers = "last",
    nodes: int | None = None,
    seed: int = 0,
    memory: float = 8.0,
) -> Iterator[xr.Dataset]:
    """The tensors of `finite_width_tensors` as found with each of eight independent sets of nodes, one after the other.

    For what is made of tensors, ``mean_and_error(map(function, tensor_randomizations(...)))`` gives estimate and error. A single
    dataset comes of few inputs, whose tensors are certified. Parameters and errors are those of `finite_width_tensors`.
    """
    wanted, gram = _wanted(network, tensors), input_gram(network, inputs)
    needed = with_dependencies(_existing(network), wanted)
    count = _by_default(len(np.unique(gram, axis=0))) if nodes is None else nodes
    _cost(network, len(gram), wanted, layer, count).require(memory)
    if count and _two_legged(needed, wanted):
        yield _pair_tensors(network, needed, gram, layer)[[*wanted, "quadrature_error"]]
        return
    for averages in randomized(network, count, seed) if count else [certified(network)]:
        yield _walked(network, needed, gram, averages, layer)[[*wanted, "quadrature_error"]]


def finite_width_cost(
    network: Network,
    samples: int,
    tensors: Iterable[str] | None = None,
    *,
    layer: WhichLayers = "last",
    nodes: int | None = None,
) -> TheoryCost:
    """CPU seconds and GiB that `finite_width_tensors` takes for a number of different inputs; other parameters as there."""
    return _cost(network, samples, _wanted(network, tensors), layer, _by_default(samples) if nodes is None else nodes)


def mean_and_error(randomizations: Iterable[xr.Dataset]) -> xr.Dataset:
    """Mean of every variable over independent randomizations, and its standard error ``<name>_error``.

    The error is enlarged from s / sqrt(R), s the standard deviation over R randomizations, so that deviations in its units have
    unit variance, those of the t-distribution with R - 1 degrees of freedom: sum of squares / (R (R - 3)). A single
    dataset comes back as it is. ``quadrature_error`` has no error of its own.
    """
    iterator = iter(randomizations)
    first = next(iterator)
    mean = {str(name): np.array(values, dtype=np.float64) for name, values in first.data_vars.items()}
    squares = {name: np.zeros_like(values) for name, values in mean.items() if name != "quadrature_error"}
    count = 1
    for count, dataset in enumerate(iterator, start=2):
        for name, total in squares.items():
            deviation = dataset[name].values - mean[name]
            mean[name] += deviation / count
            total += deviation * (dataset[name].values - mean[name])
    if count == 1:
        return first
    errors = {name: np.sqrt(total / (count * (count - 3))) for name, total in squares.items()}
    result = first.copy(data=mean)
    return result.assign({f"{name}_error": (result[name].dims, values) for name, values in errors.items()})


def _by_default(samples: int) -> int:
    """Number of nodes for a number of different inputs; 0 stands for quadrature."""
    return 0 if samples <= _CERTIFIED_INPUTS else _NODES


def _cost(network: Network, samples: int, wanted: list[str], layer: WhichLayers, count: int) -> TheoryCost:
    needed = with_dependencies(_existing(network), wanted)
    if not count:
        return certified_cost(samples, network.depth)
    if _two_legged(needed, wanted):
        return pairwise_cost(samples, network.depth)
    layers = 1 if layer == "last" else network.depth
    return randomized_cost(samples, network.depth, needed, wanted, layers, count)


def _two_legged(needed: Recursions, wanted: list[str]) -> bool:
    return all(needed[name].legs == 2 for name in wanted)


def _wanted(network: Network, tensors: Iterable[str] | None) -> list[str]:
    """Names of the tensors wanted, of those that exist."""
    existing = _existing(network)
    if tensors is None:
        kinked = any(sigma.kinks for sigma in network.activations)
        return [name for name in existing if not (kinked and name in DNTK_RECURSIONS)]
    wanted = known_tensors(existing, tensors)
    if not set(wanted).isdisjoint(DNTK_RECURSIONS):
        diverging = ", ".join(name for name in wanted if name in _DIVERGING)
        reason = f" ({diverging}: products of delta functions at equal inputs)" if diverging else ""
        network.require_smooth(f"the dNTK{reason}")
    return wanted


def _existing(network: Network) -> Recursions:
    known, _ = network.architecture.choose(ARCHITECTURES, "finite-width theory")
    return {**known, **network.architecture.choose(_DIFFERENTIALS, "the dNTK")}


_DIVERGING = "RSTU"  # at kinks: means of s'' s'' or s' s''' of one input
_DIFFERENTIALS: Mapping[str, Recursions] = {"plain": DNTK_RECURSIONS, "residual": {}}


def _pair_tensors(network: Network, recursions: Recursions, gram: Array, layer: WhichLayers) -> xr.Dataset:
    """The tensors with two legs, which pairs of inputs decide, by quadrature: block by block of inputs."""
    blocks = np.array_split(np.arange(len(gram)), math.ceil(len(gram) / BLOCK))
    names = [name for name, recursion in recursions.items() if recursion.legs == 2]
    numbers = range(1, network.depth + 1) if layer == "all" else [network.depth]
    found = {name: np.empty((len(numbers), *gram.shape)) for name in names}
    error = np.zeros(len(numbers))
    for left, right in combinations_with_replacement(blocks, 2):
        chosen = np.union1d(left, right)
        part = _walked(network, recursions, gram[np.ix_(chosen, chosen)], pairwise(network), layer)
        error = np.maximum(error, part["quadrature_error"])
        for name in names:
            found[name][:, chosen[:, None], chosen] = part[name]
    return labelled(found).assign_coords(layer=list(numbers)).assign(quadrature_error=("layer", np.asarray(error)))


def _walked(
    network: Network, recursions: Recursions, gram: Array, averages: LayerAverages, layer: WhichLayers
) -> xr.Dataset:
    """The tensors of the last or of all layers with the averages of one engine."""
    _, step = network.architecture.choose(ARCHITECTURES, "finite-width theory")

    def advance(number: int, current: Tensors) -> tuple[Tensors, float]:
        found = averages(number, current["K"])
        return next_layer(recursions, step(network, number, found), current), found.error

    layers = walk(network.depth, first_layer(recursions, network, gram), advance)
    return stacked(list(deque(layers, maxlen=1 if layer == "last" else None)))
