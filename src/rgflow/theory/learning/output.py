"""The infinite-width kernel and NTK of the output layer, all that learning at infinite width needs of a network."""

from __future__ import annotations

import numpy as np

from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.kernel import first_kernel, next_kernel
from rgflow.theory.initialization.ntk import first_ntk, next_ntk
from rgflow.theory.initialization.step import Step


def output_kernels(network: Network, inputs: Inputs) -> tuple[Array, Array]:
    """Return K^(L) and Theta^(L) between all inputs.

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
    gram = input_gram(network, inputs)
    K, Theta = first_kernel(network, gram), first_ntk(network, gram)
    for layer in range(1, network.depth):
        step = Step(network, layer, Expectations(network.activation_of(layer), K))
        branch = ((next_kernel(step), K), (next_ntk(step, Theta), Theta))
        K, Theta = (network.architecture.add_skip_to_pair(*pair) for pair in branch)
        for name, value in {"K": K, "Theta": Theta}.items():
            if not np.isfinite(value).all():
                raise RgflowError(f"{name} at layer {layer + 1} is not finite")
    return K, Theta
