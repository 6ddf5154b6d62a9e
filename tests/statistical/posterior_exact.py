"""Exact posteriors at finite width by quadrature, to compare sampled ones with.

A deep linear network with one output: given the layers above, layer l enters only through tau_l = chi^2(n_l)/n_l,
and f ~ N(0, K_L(tau)) with K_1 = G^(1), K_{l+1} = C_b + C_W tau_l K_l. One hidden layer, any activation, one train sample:
the transform of the characteristic function of the output, E exp(i k f) = exp(-C_b k^2/2) (E exp(-C_W k^2 sigma^2/2n))^n.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import logsumexp

from rgflow.network import Network
from rgflow.task import Task

Exact = dict[str, np.ndarray]


def deep_linear(network: Network, task: Task, noise: float, points: int = 60, reach: float = 7.0) -> Exact:
    """Log evidence, posterior mean and covariance and hidden kernel of a deep linear network with one output."""
    x = task.inputs
    first = network.C_b[0] + network.C_W[0] * x @ x.T / x.shape[1]
    grids = [_log_tau(n, points, reach) for n in network.widths[1:-1]]
    terms, logs = [], []
    for nodes in itertools.product(*(zip(*grid, strict=True) for grid in grids)):
        tau = np.exp([t for t, _ in nodes])
        log_density, *moments = _given_tau(network, task, noise, first, tau)
        logs.append(log_density + sum(log_weight for _, log_weight in nodes))
        terms.append(moments)
    weights = np.exp(np.array(logs) - logsumexp(logs))
    mean, second, kernel = (np.einsum("t,t...", weights, np.array(part)) for part in zip(*terms, strict=True))
    return {
        "log_evidence": logsumexp(logs),
        "posterior_mean": mean[:, None],
        "posterior_covariance": (second - np.outer(mean, mean))[None, None],
        "hidden_kernel": kernel,
    }


def _log_tau(n: int, points: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoid in t = log tau, tau = chi^2(n)/n: nodes and logarithms of normalized weights."""
    width = reach * np.sqrt(2.0 / n)
    t = np.linspace(-width - 2.0 * width / np.sqrt(n), width, points)
    log_weight = n / 2 * (t - np.exp(t))
    return t, log_weight - logsumexp(log_weight)


def _given_tau(
    network: Network, task: Task, noise: float, first: np.ndarray, tau: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    A, y = task.train_count, task.train_targets[:, 0]
    C_b, C_W = (dict(enumerate(values, start=1)) for values in (network.C_b, network.C_W))
    K = {1: first}
    for layer in range(2, network.depth + 1):
        K[layer] = C_b[layer] + C_W[layer] * tau[layer - 2] * K[layer - 1]
    inverse = np.linalg.inv(K[network.depth][:A, :A] + noise * np.eye(A))
    alpha = inverse @ y
    log_density = -0.5 * (y @ alpha - np.linalg.slogdet(inverse / (2 * np.pi))[1])

    def given(V: np.ndarray, gain: float) -> np.ndarray:
        """E[g g^T | y] of a Gaussian g with covariance V whose covariance with f is gain V."""
        cross = gain * V[:, :A]
        return V + cross @ (np.outer(alpha, alpha) - inverse) @ cross.T

    last = K[network.depth]
    # G^(l) in expectation, from the one neuron of each layer that the output sees
    G, gains = first, np.sqrt([C_W[k] * tau[k - 2] for k in range(2, network.depth + 1)])
    for layer in range(2, network.depth + 1):
        n, gain = network.widths[layer - 1], float(np.prod(gains[layer - 1 :]))
        g = given(C_W[layer] * tau[layer - 2] * K[layer - 1], gain)
        G = C_b[layer] + C_W[layer] * (1 - 1 / n) * G + g / (n * tau[layer - 2])
    return log_density, last[:, :A] @ alpha, given(last, 1.0), G


def one_hidden_layer(network: Network, task: Task, noise: float, nodes: int = 120) -> Exact:
    """Log evidence, mean and variance of the test output and the hidden kernel of the train sample, for one sample each."""
    x, y = task.inputs, float(task.train_targets[0, 0])
    G = network.C_b[0] + network.C_W[0] * x @ x.T / x.shape[1]
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    u = np.stack(np.meshgrid(points, points, indexing="ij"), -1)
    measure = np.outer(weights, weights) / (2 * np.pi)
    sigma = network.activation(u @ np.linalg.cholesky(G).T)
    a, b = sigma[..., 0], sigma[..., 1]
    n, C_b, c = network.widths[1], network.C_b[1], network.C_W[1] / network.widths[1]
    k = np.linspace(-16.0, 16.0, 3001) / np.sqrt(noise + C_b)  # the factor exp(-(C_b + s^2) k^2/2) ends the integral
    damped = np.array([measure * np.exp(-c / 2 * q**2 * a**2) for q in k])
    phi, phi_a, phi_b, phi_ab, phi_bb = (
        np.einsum("qij,ij->q", damped, f) for f in (np.ones_like(a), a * a, a * b, (a * b) ** 2, b * b)
    )
    base = np.exp(-(C_b + noise) * k**2 / 2 - 1j * k * y) * phi**n
    # -i d/dk_B of log E exp(i k_A f_A + i k_B f_B) at k_B = 0, and the second derivative
    slope = 1j * k * (C_b + n * c * phi_b / phi)
    curvature = C_b + n * (c * phi_bb / phi - c**2 * k**2 * (phi_ab / phi - (phi_b / phi) ** 2))
    evidence, mean, second, kernel = (
        np.trapezoid(base * f, k).real for f in (1.0, slope, slope**2 + curvature, C_b + n * c * phi_a / phi)
    )
    return {
        "log_evidence": np.log(evidence / (2 * np.pi)),
        "posterior_mean": mean / evidence,
        "posterior_covariance": second / evidence - (mean / evidence) ** 2,
        "hidden_kernel": kernel / evidence,
    }
