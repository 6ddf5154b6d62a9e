"""The learning-rate tensor of a chain, and what it makes of the NTK on a batch."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from rgflow.errors import RgflowError
from rgflow.practice.chain import Chain
from rgflow.theory.depth.asymptotics import equivalence_learning_rates

Array = NDArray[np.float64]

RATES = ("unit", "torch", "tensor")
"""lambda_b = lambda_W = 1; one torch rate for all parameters; the tensor of `parameter_groups`."""


def rate_tensor(chain: Chain, trained: Array) -> Array:
    """(lambda_b, lambda_W) of every layer, (2, layer), such that all layers have a like part in an NTK of order 1.

    The laws of equivalence for a critical activation; 1/L where there is none: different activations, no critical point, a
    kernel that falls slower than a power.

    Parameters
    ----------
    chain
        The layers.
    trained
        1 for what is trained and 0 for biases and weights that are frozen or absent, (2, layer).
    """
    kinds, L = set(chain.activations), chain.depth
    rates = np.full((2, L), 1.0 / L)
    if len(kinds) == 1 and chain.is_plain:
        (sigma,) = kinds
        with suppress(RgflowError):  # then 1/L
            rates = np.array(equivalence_learning_rates(sigma, L))
    return rates * trained


def common_rates(chain: Chain, trained: Array) -> Array:
    """(lambda_b, lambda_W) of one torch rate for all parameters: lambda_W = n_{l-1}, so that lambda_W/n_{l-1} = 1."""
    return np.stack([np.ones(chain.depth), np.array(chain.widths[:-1], dtype=np.float64)]) * trained


def kept_modes(theta: Array, weight: Array, share: float = 0.99) -> NDArray[np.bool_]:
    """The modes of largest eigenvalue that together have a share of a weight, (mode,).

    Parameters
    ----------
    theta
        Eigenvalues, ascending.
    weight
        Weight of each mode, such as its part in the squared targets.
    share
        How much of all.
    """
    before = np.cumsum(weight[::-1])[::-1] - weight
    return np.asarray((before < share * weight.sum()) & (theta > 0.0))
