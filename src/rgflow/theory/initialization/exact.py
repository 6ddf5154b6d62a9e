"""Exact finite-width results: deep linear networks with many inputs, scale-invariant activations with one input.

Both close on G = E[z z], H = E[H_ii] and the connected tensors of the leading-order theory, to all orders in 1/n.
Results carry the names and the normalization of the leading-order theory: K = G, Theta = H, and V, D, F, A, B are
n_{l-1} times the connected correlators, so they equal theirs as n -> infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.inputs import Inputs, input_gram
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array, cross_pairs, exchange_pairs, outer
from rgflow.theory.initialization.kernel import first_kernel
from rgflow.theory.initialization.layers import Tensors, labelled
from rgflow.theory.initialization.ntk import first_ntk


class ExactMoments(NamedTuple):
    """Means G, H and connected correlators u = V/n, d = D/n, f = F/n, alpha = A/n, beta = B/n of one layer."""

    G: Array
    H: Array
    u: Array
    d: Array
    f: Array
    alpha: Array
    beta: Array


class Hyperparameters(NamedTuple):
    """Width n and slopes of sigma (on the left and on the right of 0) of layer l, and hyperparameters of layer l+1."""

    n: int
    slopes: tuple[float, float]
    C_b: float
    C_W: float
    lambda_b: float
    lambda_W: float


def exact_theory(network: Network, inputs: Inputs) -> xr.Dataset:
    """All tensors that have a law at any width: deep linear networks, or one input and a scale-invariant activation.

    Returns
    -------
    Dataset like that of ``initialization_theory`` with K, Theta, V, D, F, A, B at the given widths; for a linear network
    without biases and one input also ``V6`` (layer, sample_1), n_{l-1}^2 times its connected six-point correlator.

    Raises
    ------
    RgflowError
        Neither of the two, a network that is not plain, or unusable inputs.
    """
    if not _is_linear(network):
        return exact_scale_invariant(network, inputs)
    tensors = exact_deep_linear(network, inputs)
    if any(network.C_b) or tensors.sizes["sample_1"] > 1:
        return tensors
    six_point = np.square(network.widths[:-1]) * deep_linear_six_point(network, inputs)
    return tensors.assign(V6=(("layer", "sample_1"), six_point[:, None]))


def exact_deep_linear(network: Network, inputs: Inputs) -> xr.Dataset:
    """Means and connected four-point tensors of a deep linear network, exact at any widths, for any inputs and C_b.

    Returns
    -------
    Dataset like that of ``initialization_theory`` with K, Theta, V, D, F, A, B at the given widths.

    Raises
    ------
    RgflowError
        The activation is not linear, the network is not plain, or the inputs are unusable.
    """
    _require_linear(network)
    return _evolve(network, input_gram(network, inputs), _next_deep_linear)


def exact_scale_invariant(network: Network, inputs: Inputs) -> xr.Dataset:
    """Means and connected four-point tensors for sigma(z) = a_+ z (z > 0), a_- z (z < 0) and one input, any widths.

    Returns
    -------
    Dataset like that of ``initialization_theory`` with K, Theta, V, D, F, A, B at the given widths.

    Raises
    ------
    RgflowError
        The activation is not scale-invariant, the network is not plain, or there is not exactly one usable input.
    """
    network.require_plain("an exact law at finite width")
    for sigma in network.activations:
        if sigma.slopes is None:
            raise RgflowError(f"{sigma.label} is not scale-invariant; linear, relu and leaky_relu are")
    return _evolve(network, _single_gram(network, inputs), _next_scale_invariant)


def deep_linear_moment(network: Network, inputs: Inputs, order: int) -> Array:
    """G_2m of a deep linear network with one input and no biases: E[z_1 .. z_2m] = G_2m times the sum over pairings.

    G_2m^(l) = G_2^m prod_{l' < l} prod_{k=1}^{m-1} (1 + 2k / n_l').

    Parameters
    ----------
    network, inputs
        A linear network with C_b = 0 and one input.
    order
        2m, the even number of preactivations.

    Returns
    -------
    (L,) array over layers 1..L.

    Raises
    ------
    RgflowError
        Another activation, a network that is not plain, a bias, several inputs, or an order that is not even and positive.
    """
    _require_linear(network)
    if any(network.C_b):
        raise RgflowError(f"C_b = {network.C_b}; these moments are known for C_b = 0")
    if order < 2 or order % 2:
        raise RgflowError(f"order = {order}; the number of preactivations must be even and positive")
    m = order // 2
    G_2 = float(_single_gram(network, inputs)[0, 0]) * np.cumprod(network.C_W)
    hidden = np.array(network.widths[1:-1])
    k = np.arange(1, m)[:, None]
    per_layer = np.prod(1.0 + 2.0 * k / hidden, axis=0)
    return np.asarray(G_2**m * np.cumprod([1.0, *per_layer]))


def deep_linear_six_point(network: Network, inputs: Inputs) -> Array:
    """Coefficient of the 15 pairings in the connected six-point correlator, G_6 - 3 G_4 G_2 + 2 G_2^3; (L,).

    Same network, inputs and errors as ``deep_linear_moment``.
    """
    G_2, G_4, G_6 = (deep_linear_moment(network, inputs, order) for order in (2, 4, 6))
    return G_6 - 3.0 * G_4 * G_2 + 2.0 * G_2**3


def _evolve(
    network: Network, gram: Array, advance: Callable[[Hyperparameters, ExactMoments], ExactMoments]
) -> xr.Dataset:
    zero = np.zeros((len(gram),) * 4)
    layers = [ExactMoments(first_kernel(network, gram), first_ntk(network, gram), zero, zero, zero, zero, zero)]
    hyperparameters = zip(network.C_b, network.C_W, network.lambda_b, network.lambda_W, strict=True)
    hidden = zip(network.widths[1:-1], network.activations, list(hyperparameters)[1:], strict=True)
    for n, sigma, values in hidden:
        assert sigma.slopes is not None  # checked by all who come here
        layers.append(advance(Hyperparameters(n, sigma.slopes, *values), layers[-1]))
    return labelled(_rescaled(network, ExactMoments(*map(np.stack, zip(*layers, strict=True)))))


def _rescaled(network: Network, moments: ExactMoments) -> Tensors:
    fan_in = np.array(network.widths[:-1], dtype=np.float64).reshape(-1, 1, 1, 1, 1)
    connected = dict(zip(("V", "D", "F", "A", "B"), moments[2:], strict=True))
    return {"K": moments.G, "Theta": moments.H} | {name: fan_in * value for name, value in connected.items()}


def _next_deep_linear(layer: Hyperparameters, moments: ExactMoments) -> ExactMoments:
    n, _, C_b, C_W, lambda_b, lambda_W = layer
    G, H, u, d, f, alpha, beta = moments
    f_1324, f_1423 = cross_pairs(f), _last_pairing(f)
    beta_1324, beta_1423 = cross_pairs(beta), _last_pairing(beta)
    M = outer(G, G) + u
    s = u + (cross_pairs(M) + _last_pairing(M)) / n
    t = d + (f_1324 + f_1423) / n
    w = alpha + (beta_1324 + beta_1423) / n
    return ExactMoments(
        G=C_b + C_W * G,
        H=lambda_b + lambda_W * G + C_W * H,
        u=C_W**2 * s,
        d=C_W * (lambda_W * s + C_W * t),
        f=C_W**2 * cross_pairs(f_1324 + (outer(G, H) + d + f_1423) / n),
        alpha=lambda_W**2 * s + lambda_W * C_W * (t + exchange_pairs(t)) + C_W**2 * w,
        beta=C_W**2 * cross_pairs(beta_1324 + (outer(H, H) + alpha + beta_1423) / n),
    )


def _next_scale_invariant(layer: Hyperparameters, moments: ExactMoments) -> ExactMoments:
    """One input; c_ss, c_st, c_tt are the covariances of the layer averages s of sigma^2 and t of sigma'^2 H_jj."""
    n, slopes, C_b, C_W, lambda_b, lambda_W = layer
    A_2, A_4 = (float(np.mean(np.power(slopes, power))) for power in (2, 4))
    r = A_4 / A_2**2
    G, H, u, d, f, alpha, beta = moments
    M, N, Q = G**2 + u, G * H + d, H**2 + alpha
    c_ss = A_2**2 * (u + (3 * r - 1) / n * M)
    c_st = A_2**2 * (d + (r - 1) / n * N + 2 * r / n * f)
    c_tt = A_2**2 * (alpha + (r - 1) / n * Q + 2 * r / n * beta)
    return ExactMoments(
        G=C_b + C_W * A_2 * G,
        H=lambda_b + lambda_W * A_2 * G + C_W * A_2 * H,
        u=C_W**2 * c_ss,
        d=C_W * (lambda_W * c_ss + C_W * c_st),
        f=C_W**2 * A_2**2 * (f * (1 + (2 * r - 1) / n) + r / n * N),
        alpha=lambda_W**2 * c_ss + 2 * lambda_W * C_W * c_st + C_W**2 * c_tt,
        beta=C_W**2 * A_2**2 * (beta * (1 + (2 * r - 1) / n) + r / n * Q),
    )


def _last_pairing(T: Array) -> Array:
    """T_1423 as an array over 1234."""
    return T.transpose(0, 2, 3, 1)


def _require_linear(network: Network) -> None:
    network.require_plain("an exact law at finite width")
    if not _is_linear(network):
        raise RgflowError(f"activation is {network.activation.label}; these results hold for linear")


def _is_linear(network: Network) -> bool:
    """Whether sigma(z) = z in every hidden layer."""
    return all(sigma.slopes == (1.0, 1.0) for sigma in network.activations)


def _single_gram(network: Network, inputs: Inputs) -> Array:
    gram = input_gram(network, inputs)
    if len(gram) != 1:
        raise RgflowError(f"there are {len(gram)} inputs; these results hold for one")
    return gram
