"""K and Theta layer by layer with general Gaussian quadrature: for any activation, at N^2 times the cost of a pair."""

from __future__ import annotations

import numpy as np

from rgflow.errors import RgflowError
from rgflow.gaussian.expectations import Expectations
from rgflow.network import Network
from rgflow.theory.infinite_width.apart import Block


def quadrature_kernels(network: Network, gram: Block) -> tuple[Block, Block, float]:
    """K and Theta of the last layer, and the largest estimated relative error of an average.

    Parameters
    ----------
    network
        Any network.
    gram
        (N, N) inner products x . x / n_0.

    Raises
    ------
    RgflowError
        An average does not reach its accuracy, or K or Theta is not finite; names the layer.
    """
    K, Theta = network.C_b[0] + network.C_W[0] * gram, network.lambda_b[0] + network.lambda_W[0] * gram
    error, skip = 0.0, network.architecture.skip**2
    for layer in range(1, network.depth):
        C_b, C_W, lambda_b, lambda_W = network.hyperparameters(layer + 1)
        try:
            averages = Expectations(network.activation_of(layer), K)
            ss, dd = averages.pair(0), averages.pair(1)
        except RgflowError as failure:
            raise RgflowError(f"layer {layer + 1}: {failure}") from None
        K, Theta = C_b + C_W * ss + skip * K, lambda_b + lambda_W * ss + (C_W * dd + skip) * Theta
        error = max(error, averages.error)
        for name, value in {"K": K, "Theta": Theta}.items():
            if not np.isfinite(value).all():
                raise RgflowError(f"{name} at layer {layer + 1} is not finite")
    return K, Theta, error
