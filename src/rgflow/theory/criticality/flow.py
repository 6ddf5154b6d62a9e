"""Flow of two inputs through depth (PDLT, chapter 5). Public as ``rgflow.flow``.

Nearby inputs in the midpoint basis, and any two through their full kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.arrays import require_shape
from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.criticality.susceptibility import chi_parallel, chi_perp, h, mean_square

Array = NDArray[np.float64]


@checked
def to_midpoint(K: ArrayLike) -> Array:
    """Midpoint components (K[0], K[1], K[2]) of a kernel of two inputs.

    K = K[0] gamma[0] + K[1] gamma[1] + K[2] gamma[2] with gamma[0] = ((1, 1), (1, 1)), gamma[1] = ((1, 0), (0, -1)),
    gamma[2] = ((1, -1), (-1, 1)): the kernel of the midpoint, and differences of first and second order.

    Parameters
    ----------
    K
        Symmetric kernels, shape (..., 2, 2).

    Returns
    -------
    Array of shape (..., 3).
    """
    plus, minus, cross = _entries(K)
    return np.stack([(plus + minus + 2 * cross) / 4, (plus - minus) / 2, (plus + minus - 2 * cross) / 4], axis=-1)


@checked
def from_midpoint(components: ArrayLike) -> Array:
    """Kernel of two inputs, shape (..., 2, 2), from its midpoint components, shape (..., 3); undoes `to_midpoint`."""
    parts = np.asarray(components, dtype=np.float64)
    require_shape("components", parts, (3,))
    K0, K1, K2 = np.moveaxis(parts, -1, 0)
    rows = [np.stack([K0 + K1 + K2, K0 - K2], axis=-1), np.stack([K0 - K2, K0 - K1 + K2], axis=-1)]
    return np.stack(rows, axis=-2)


@checked
def midpoint_flow(network: Network, first: ArrayLike) -> Array:
    """Flow of two nearby inputs, to second order in their distance.

    K[0]' = C_b + C_W <sigma^2>,  K[1]' = chi_parallel K[1],  K[2]' = chi_perp K[2] + h K[1]^2, all averages at K[0], for
    the branch; a skip connection adds its square times the layer below to each.

    Parameters
    ----------
    network
        Supplies activations, depth, C_b, C_W and the architecture.
    first
        (K[0], K[1], K[2]) in layer 1; for inputs x0 +- dx/2 these are C_b + C_W x0.x0/n_0, C_W x0.dx/n_0 and
        C_W dx.dx/(4 n_0).

    Returns
    -------
    Array of shape (L, 3).

    Raises
    ------
    RgflowError
        K[0] is not positive.
    """
    flow, start = np.empty((network.depth, 3)), np.asarray(first, dtype=np.float64)
    require_shape("first", start, (3,))
    flow[0] = start
    if not flow[0, 0] > 0.0:
        raise RgflowError(f"K[0] = {flow[0, 0]} in layer 1; it must be positive")
    for layer in range(1, network.depth):
        sigma = network.activation_of(layer)
        C_b, C_W, _, _ = network.hyperparameters(layer + 1)
        K0, K1, K2 = flow[layer - 1]
        branch = (
            C_b + C_W * mean_square(sigma, 0, K0),
            chi_parallel(sigma, C_W, K0) * K1,
            chi_perp(sigma, C_W, K0) * K2 + h(sigma, C_W, K0) * K1**2,
        )
        flow[layer] = network.architecture.add_skip_to_pair(np.array(branch), flow[layer - 1])
    return flow


@checked
def pair_flow(network: Network, first: ArrayLike) -> Array:
    """Flow of the kernel of any two inputs, K' = C_b + C_W <sigma_a sigma_b>_K, at finite angle.

    Parameters
    ----------
    network
        Supplies activations, depth, C_b, C_W and the architecture.
    first
        Kernel in layer 1, shape (2, 2), symmetric and positive semi-definite.

    Returns
    -------
    Array of shape (L, 2, 2).

    Raises
    ------
    RgflowError
        A kernel of another shape.
    """
    from rgflow.gaussian.expectations import Expectations  # needed by no other flow

    K = np.asarray(first, dtype=np.float64)
    if K.shape != (2, 2):
        raise RgflowError(f"kernel of shape {K.shape} in layer 1; two inputs need (2, 2)")
    flow = [K]
    for layer, sigma in enumerate(network.activations, start=1):
        C_b, C_W, _, _ = network.hyperparameters(layer + 1)
        branch = C_b + C_W * Expectations(sigma, flow[-1]).pair(0)
        flow.append(network.architecture.add_skip_to_pair(branch, flow[-1]))
    return np.stack(flow)


@checked
def angle(K: ArrayLike) -> Array:
    """Angle between two inputs, arccos(K_12 / sqrt(K_11 K_22)), accurate also for nearly parallel ones.

    Parameters
    ----------
    K
        Kernels of two inputs with positive diagonal, shape (..., 2, 2).

    Returns
    -------
    Array of shape (...), between 0 and pi.
    """
    plus, minus, cross = _entries(K)
    area = np.sqrt(np.maximum(plus * minus - cross**2, 0.0))
    return np.arctan2(area, cross)


def _entries(K: ArrayLike) -> tuple[Array, Array, Array]:
    kernel = np.asarray(K, dtype=np.float64)
    require_shape("K", kernel, (2, 2))
    return kernel[..., 0, 0], kernel[..., 1, 1], kernel[..., 0, 1]
