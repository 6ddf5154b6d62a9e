"""The precision of an ensemble: one in which inputs stay as far apart as they are.

What two inputs of correlation c differ by is a share sqrt(2 (1 - |c|)) of their preactivations. Rounding takes from it, and where
their conditional variance is below :func:`rgflow.sampling.algebra.tolerance` they become one. How close inputs come to each
other on their way through the layers is known from theory at infinite width before anything is drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.inputs import Inputs, checked_inputs
from rgflow.network import Network
from rgflow.sampling.estimators import Array
from rgflow.sampling.spec import SamplingSpec
from rgflow.theory.infinite_width.apart import apart_of
from rgflow.theory.infinite_width.dual import has_dual
from rgflow.theory.infinite_width.plan import make_plan

RESOLVED = {"float32": 2.0**-10, "float64": 1e-9}
"""Smallest 1 - |c| that a precision is trusted with.

Of float32 it is 2^13 eps, 500 times what makes two inputs one: there 1 - c of sampled networks agrees with float64 to 1e-6 of
itself (ordered tanh and ReLU, widths 32 to 128), at 2e-5 to 4e-4, at 2e-6 not at all. Of float64 it is what theory still
tells, whose averages are good to 1e-10.
"""
_log = logging.getLogger("rgflow")


class Closest(NamedTuple):
    """Smallest 1 - |c| of two inputs, and the layer where it is."""

    apart: float
    layer: int


def with_precision(ensemble: SamplingSpec, network: Network, inputs: Inputs) -> SamplingSpec:
    """The same ensemble with a precision in place of "auto".

    It is float32 where :data:`RESOLVED` allows it in all layers, and else float64, also where theory does not know the network.
    A warning says where float64 does not suffice either.
    """
    if ensemble.dtype != "auto":
        return ensemble
    try:
        closest = closest_inputs(network, inputs, ensemble.reported_layers(network)[-1])
    except RgflowError:  # of theory; what is wrong with inputs or settings is said where they are used
        return replace(ensemble, dtype="float64")
    if closest.apart < RESOLVED["float64"]:
        _log.warning(
            "layer %d: 1 - |correlation| of two inputs is %.1g, too small to be resolved (below %.0e): take no differences "
            "between them there",
            closest.layer,
            closest.apart,
            RESOLVED["float64"],
        )
    return replace(ensemble, dtype="float32" if closest.apart >= RESOLVED["float32"] else "float64")


def closest_inputs(network: Network, inputs: Inputs, layers: int) -> Closest:
    """Which inputs come closest to each other in the layers 1 .. ``layers`` at infinite width.

    Inputs that are one from the first layer on, repeated or parallel ones, are not two until an activation parts them.

    Raises
    ------
    RgflowError
        Unusable inputs, or a network whose kernel theory does not know.
    """
    x = checked_inputs(network, inputs)
    apart = np.stack([one for one, _ in zip(_kernels_apart(network, x), range(layers), strict=False)])
    parted = np.maximum.accumulate(apart > RESOLVED["float64"], axis=0)
    smallest = np.where(parted, apart, np.inf).reshape(layers, -1).min(axis=1)
    layer = int(smallest.argmin())
    return Closest(float(smallest[layer]), layer + 1)


def _kernels_apart(network: Network, x: Array) -> Iterator[Array]:
    """1 - |c| (N, N) of the preactivations of layer 1, 2, ..."""
    for K in _kernels(network, x):
        deviation = np.sqrt(np.diagonal(K))
        yield apart_of(K, deviation, deviation)


def _kernels(network: Network, x: Array) -> Iterator[Array]:
    """K (N, N) of layer 1, 2, ..., by the fast averages of many inputs where they are known."""
    if not all(has_dual(activation) for activation in network.activations):
        yield from _kernels_by_quadrature(network, x)
        return
    plan, everything = make_plan(network, x, np.float64), slice(0, len(x))
    pairs = plan.first(everything, everything)
    yield pairs[0]
    for layer in plan.layers:
        pairs = layer.next(everything, everything, *pairs)
        yield pairs[0]


def _kernels_by_quadrature(network: Network, x: Array) -> Iterator[Array]:
    """The same for any activation: K' = C_b + C_W <sigma sigma> + skip^2 K."""
    K = network.C_b[0] + network.C_W[0] * (x @ x.T) / x.shape[1]
    yield K
    for layer in range(1, network.depth):
        C_b, C_W, *_ = network.hyperparameters(layer + 1)
        K = C_b + C_W * Expectations(network.activation_of(layer), K).pair(0) + network.architecture.skip**2 * K
        yield K
