"""Kernel, vertex and NTK tensors of a single input: scalar recursions, fast enough for depths of thousands.

They are written out independently of the many-input recursions, which must reproduce them for one input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.single import single_means
from rgflow.network import Network
from rgflow.theory.criticality.susceptibility import kernel_derivatives, mean_square

Array = NDArray[np.float64]


def kernel_flow(network: Network, mean_square_input: float) -> Array:
    """Kernel K of layers 1..L for one input: K' = C_b + C_W <sigma^2>_K, from K = C_b + C_W x.x/n_0.

    A skip connection adds its square times K.

    Parameters
    ----------
    network
        Supplies activations, depth, C_b, C_W and the architecture.
    mean_square_input
        x.x/n_0 of the input.

    Returns
    -------
    Array of shape (L,).

    Raises
    ------
    RgflowError
        A negative `mean_square_input`, or a kernel that is not finite (with its layer).
    """
    if not mean_square_input >= 0.0:
        raise RgflowError(f"mean_square_input = {mean_square_input}; it is x.x/n_0, so it must not be negative")
    K = np.empty(network.depth)
    K[0] = network.C_b[0] + network.C_W[0] * mean_square_input
    for layer in range(1, network.depth):
        C_b, C_W, _, _ = network.hyperparameters(layer + 1)
        branch = C_b + C_W * mean_square(network.activation_of(layer), 0, K[layer - 1])
        K[layer] = network.architecture.add_skip_to_pair(branch, K[layer - 1])
        if not np.isfinite(K[layer]):
            raise RgflowError(f"K is {K[layer]} at layer {layer + 1}; C_W = {network.C_W[layer]} is too large")
    return K


def single_input_theory(network: Network, mean_square_input: float) -> dict[str, Array]:
    """Leading finite-width theory of one input: K, G1, V, Theta, Theta1, D, F, A, B in layers 1..L.

    Parameters
    ----------
    network
        The network; only ratios of its widths enter.
    mean_square_input
        x.x/n_0 of the input.

    Returns
    -------
    Arrays of shape (L,) by name. G1, V, Theta1, D, F, A, B come without 1/n_{l-1} and vanish in layer 1.

    Raises
    ------
    RgflowError
        An architecture with skip connections, or as `kernel_flow`.
    """
    network.require_plain("the theory of a single input")
    K = kernel_flow(network, mean_square_input)
    averages = _averages_of_layers(network.activations, K[:-1])
    tensors = dict.fromkeys(("G1", "V", "Theta1", "D", "F", "A", "B"), 0.0)
    tensors["Theta"] = network.lambda_b[0] + network.lambda_W[0] * mean_square_input
    flow = [tensors]
    for layer, average in enumerate(averages, start=1):
        flow.append(_step(flow[-1], average, network, layer))
    return {"K": K} | {name: np.array([tensors[name] for tensors in flow]) for name in tensors}


@dataclass(frozen=True)
class _Averages:
    """One layer's Gaussian averages over a single neuron."""

    s2: float  # <sigma^2>
    P: float  # <sigma'^2>
    cov_ss: float  # Cov(sigma^2, sigma^2)
    cov_st: float  # Cov(sigma^2, sigma'^2)
    cov_tt: float  # Cov(sigma'^2, sigma'^2)
    J0: float  # d<sigma^2>/dK
    J1: float  # d<sigma'^2>/dK
    J00: float  # d^2<sigma^2>/dK^2
    J11: float  # d^2<sigma'^2>/dK^2


def _averages_of_layers(activations: tuple[Activation, ...], K: Array) -> list[_Averages]:
    """The averages in layers 1..L-1, for each activation at all its kernels at once."""
    found: dict[int, _Averages] = {}
    for sigma in dict.fromkeys(activations):
        layers = [layer for layer, own in enumerate(activations) if own == sigma]
        found |= dict(zip(layers, _averages(sigma, K[layers]), strict=True))
    return [found[layer] for layer in range(len(activations))]


def _averages(sigma: Activation, K: Array) -> list[_Averages]:
    s2, P, J0, J1, J00, J11 = kernel_derivatives(sigma, [(order, k) for k in range(3) for order in (0, 1)], K)
    ssss, sstt, tttt = single_means(sigma, ((0, 0, 0, 0), (0, 0, 1, 1), (1, 1, 1, 1)), K)
    columns = (s2, P, ssss - s2**2, sstt - s2 * P, tttt - P**2, J0, J1, J00, J11)
    return [_Averages(*row) for row in np.stack(columns, axis=-1).tolist()]


def _step(now: dict[str, float], mean: _Averages, network: Network, layer: int) -> dict[str, float]:
    """Tensors of layer l + 1 from those of layer l, with Omega = lambda_W sigma^2 + C_W Theta sigma'^2."""
    rho, C_W = network.ratio(layer), network.C_W[layer]
    lambda_b, lambda_W = network.lambda_b[layer], network.lambda_W[layer]
    P, J0, V, D, F, Theta = mean.P, mean.J0, now["V"], now["D"], now["F"], now["Theta"]
    s, t = lambda_W, C_W * Theta  # weights of sigma^2 and sigma'^2 in Omega
    J_Omega = s * J0 + t * mean.J1
    S0 = J0 * now["G1"] + mean.J00 * V / 2
    S1 = mean.J1 * now["G1"] + mean.J11 * V / 2
    cov_s_Omega = s * mean.cov_ss + t * mean.cov_st
    cov_Omega_Omega = s**2 * mean.cov_ss + 2 * s * t * mean.cov_st + t**2 * mean.cov_tt
    return {
        "G1": rho * C_W * S0,
        "V": C_W**2 * (mean.cov_ss + rho * J0**2 * V),
        "Theta1": rho * (s * S0 + C_W * (P * now["Theta1"] + Theta * S1 + mean.J1 * (D + 2 * F))),
        "D": C_W * (cov_s_Omega + rho * (J0 * V * J_Omega + C_W * J0 * D * P)),
        "F": C_W**2 * ((mean.cov_st + mean.s2 * P) * Theta + rho * J0**2 * F),
        "A": cov_Omega_Omega + rho * (J_Omega**2 * V + 2 * C_W * J_Omega * D * P + C_W**2 * P**2 * now["A"]),
        "B": C_W**2 * ((mean.cov_tt + P**2) * Theta**2 + rho * P**2 * now["B"]),
        "Theta": lambda_b + s * mean.s2 + t * P,
    }
