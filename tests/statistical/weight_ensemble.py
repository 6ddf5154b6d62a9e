"""Ensembles of networks with explicit weights, in plain numpy: the experiment that the theory must predict.

The NTK is propagated as the full tensor H_ij;ab by its exact forward equation, and the last layer is integrated out by
hand (it is Gaussian given the layer before), which makes every estimator unbiased at any width and much less noisy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Estimate(NamedTuple):
    """Mean and standard error of a tensor."""

    value: Any
    error: Any


def sampled_tensors(
    network: Any, inputs: Any, sigma: Callable[[Any], Any], slope: Callable[[Any], Any], members: int, seed: int
) -> dict[str, Estimate]:
    """K, Theta (sampled means) and V, D, F, A, B (times n_{L-1}) at layer L of a plain network."""
    chunks = [
        _last_layer(network, sigma(z), slope(z), H)
        for z, H in _hidden_layer(network, inputs, sigma, slope, members, seed)
    ]
    G, omega, F, B = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    n = network.widths[-2]
    dG, dO = G - G.mean(axis=0), omega - omega.mean(axis=0)
    products = {"V": (dG, dG), "D": (dG, dO), "A": (dO, dO)}
    estimates = {"K": _estimate(G), "Theta": _estimate(omega), "F": _estimate(n * F), "B": _estimate(n * B)}
    return estimates | {
        name: _estimate(n * np.einsum("mab,mcd->mabcd", left, right)) for name, (left, right) in products.items()
    }


def _hidden_layer(
    network: Any, inputs: Any, sigma: Callable[[Any], Any], slope: Callable[[Any], Any], members: int, seed: int
) -> Iterator[tuple[Any, Any]]:
    """Chunks of z (members, n, N) and H (members, N, N, n, n) in the last hidden layer."""
    rng = np.random.default_rng(seed)
    chunk = 100  # the NTK of a chunk should stay near the cache
    for _ in range(members // chunk):
        signal = np.broadcast_to(inputs.T, (chunk, *inputs.T.shape))
        z = H = None
        for layer in range(network.depth - 1):
            fan_in, fan_out = network.widths[layer : layer + 2]
            W = rng.normal(size=(chunk, fan_out, fan_in)) * np.sqrt(network.C_W[layer] / fan_in)
            b = rng.normal(size=(chunk, fan_out, 1)) * np.sqrt(network.C_b[layer])
            own = network.lambda_b[layer] + network.lambda_W[layer] / fan_in * signal.swapaxes(1, 2) @ signal
            H_next = own[..., None, None] * np.eye(fan_out)
            if H is not None:
                backward = W[:, None] * slope(z).swapaxes(1, 2)[:, :, None, :]
                H_next += backward[:, :, None] @ H @ backward[:, None].swapaxes(-1, -2)
            z = b + W @ signal
            signal, H = sigma(z), H_next
        yield z, H


def _last_layer(network: Any, s: Any, d: Any, H: Any) -> tuple[Any, Any, Any, Any]:
    """Metric, mean NTK and the conditional expectations behind F and B, per member."""
    n, C_W = s.shape[1], network.C_W[-1]
    G = network.C_b[-1] + C_W / n * s.swapaxes(1, 2) @ s
    same = np.einsum("mja,mjb,mabjj->mab", d, d, H)
    omega = network.lambda_b[-1] + (network.lambda_W[-1] * s.swapaxes(1, 2) @ s + C_W * same) / n
    sd, dd = s[:, :, :, None] * d[:, :, None, :], d[:, :, :, None] * d[:, :, None, :]
    F = np.einsum("mjac,mcdjk,mkbd->macbd", sd, H, sd, optimize=True)
    B = np.einsum("mjac,mabjk,mcdjk,mkbd->macbd", dd, H, H, dd, optimize=True)
    return G, omega, (C_W / n) ** 2 * F, (C_W / n) ** 2 * B


def sampled_residual(
    network: Any, inputs: Any, xi: tuple[float, float], sigma: Callable[[Any], Any], members: int, seed: int
) -> dict[str, Estimate]:
    """T3 and V (times n) at layer L of a residual network, the last layer's weights integrated out."""
    n, parts = network.widths[-1], []
    for z in _residual_hidden_layer(network, inputs, xi, sigma, members, seed):
        X = _residual_metric(network, xi, z, sigma(z))
        total = X.sum(axis=1)
        three = xi[1] * (
            np.einsum("ma,mbc->mabc", z.sum(axis=1), total) - np.einsum("mia,mibc->mabc", z, X, optimize=True)
        )
        four = np.einsum("mab,mcd->mabcd", total, total) - np.einsum("miab,micd->mabcd", X, X, optimize=True)
        parts.append((total / n, three / (n - 1), four / (n - 1)))
    K, T3, four = (np.concatenate(part) for part in zip(*parts, strict=True))
    mean = K.mean(axis=0)
    # n (E[X X] - mean mean), written so that the error of the product of means is included to first order
    linear = np.einsum("mab,cd->mabcd", K, mean) + np.einsum("ab,mcd->mabcd", mean, K)
    V = four - n * linear + n * np.einsum("ab,cd->abcd", mean, mean)
    return {"T3": _estimate(T3), "V": _estimate(V)}


def sampled_kernel(
    network: Any, inputs: Any, xi: tuple[float, float], sigma: Callable[[Any], Any], members: int, seed: int
) -> Estimate:
    """K (sampled mean) at layer L of a residual network, or with xi = (1, 0) of a plain one."""
    hidden = _residual_hidden_layer(network, inputs, xi, sigma, members, seed)
    return _estimate(np.concatenate([_residual_metric(network, xi, z, sigma(z)).mean(axis=1) for z in hidden]))


def _residual_hidden_layer(
    network: Any, inputs: Any, xi: tuple[float, float], sigma: Callable[[Any], Any], members: int, seed: int
) -> Iterator[Any]:
    """Chunks of z (members, n, N) in the last hidden layer."""
    rng = np.random.default_rng(seed)
    chunk = 2000
    for _ in range(members // chunk):
        z = _affine(rng, network, 0, np.broadcast_to(inputs.T, (chunk, *inputs.T.shape)))
        for layer in range(1, network.depth - 1):
            z = xi[0] * _affine(rng, network, layer, sigma(z)) + xi[1] * z
        yield z


def _residual_metric(network: Any, xi: tuple[float, float], z: Any, s: Any) -> Any:
    """E[z'_ia z'_ib | z] for each neuron i, (members, n, N, N)."""
    n = s.shape[1]
    metric = xi[0] ** 2 * (network.C_b[-1] + network.C_W[-1] / n * s.swapaxes(1, 2) @ s)
    return metric[:, None] + xi[1] ** 2 * z[..., :, None] * z[..., None, :]


def _affine(rng: np.random.Generator, network: Any, layer: int, signal: Any) -> Any:
    fan_in, fan_out = network.widths[layer : layer + 2]
    W = rng.normal(size=(len(signal), fan_out, fan_in)) * np.sqrt(network.C_W[layer] / fan_in)
    return W @ signal + rng.normal(size=(len(signal), fan_out, 1)) * np.sqrt(network.C_b[layer])


def extrapolated(narrow: Estimate, wide: Estimate) -> Estimate:
    """The 1/n term removed from estimates at n and 2n."""
    return Estimate(2.0 * wide.value - narrow.value, np.sqrt(4.0 * wide.error**2 + narrow.error**2))


def largest_z(estimate: Estimate, expected: Any, allowance: float = 0.0) -> float:
    """Largest deviation in standard errors beyond an allowance relative to the largest component."""
    expected = np.asarray(expected)
    excess = np.abs(estimate.value - expected) - allowance * np.abs(expected).max()
    return float(np.max(np.maximum(excess, 0.0) / estimate.error))


def _estimate(samples: Any) -> Estimate:
    return Estimate(samples.mean(axis=0), samples.std(axis=0, ddof=1) / np.sqrt(len(samples)))
