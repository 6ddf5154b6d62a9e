"""The infinite-width kernel and NTK of the output layer, all that learning at infinite width needs of a network."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from rgflow.inputs import Inputs, checked_inputs, input_gram
from rgflow.network import Network
from rgflow.theory.infinite_width.accuracy import certified_plan, whole_kernels
from rgflow.theory.infinite_width.dual import is_fast
from rgflow.theory.infinite_width.mehler import ExpansionError
from rgflow.theory.infinite_width.quadrature import quadrature_kernels
from rgflow.theory.initialization.contraction import Array


def output_kernels(network: Network, inputs: Inputs) -> tuple[Array, Array]:
    """Return K^(L) and Theta^(L) between all inputs: from the engine of infinite width or, where that has no way, by quadrature.

    Parameters
    ----------
    network
        The network.
    inputs
        Shape (sample, feature).

    Returns
    -------
    K, Theta
        Shape (sample, sample) each.

    Raises
    ------
    RgflowError
        Bad inputs, or a kernel or NTK that is not finite, naming its layer.
    """
    distinct, position = np.unique(checked_inputs(network, inputs), axis=0, return_inverse=True)
    K, Theta = _kernels(network, distinct)
    repeated = np.ix_(position.ravel(), position.ravel())  # equal inputs have equal rows, to the bit
    return K[repeated], Theta[repeated]


def _kernels(network: Network, inputs: Array) -> tuple[Array, Array]:
    if all(is_fast(sigma) for sigma in network.activations):
        with suppress(ExpansionError):
            K, Theta, _ = whole_kernels(certified_plan(network, inputs, "float64"))
            return K, Theta
    K, Theta, _ = quadrature_kernels(network, input_gram(network, inputs))
    return K, Theta
