"""Information in a layer (PDLT, appendix A). Public as ``rgflow.information``.

Entropy, mutual information between neurons, and the depth-to-width ratio that maximizes it.

A single input enters through the normalized excess kappa = V/(n G^2), which grows with depth as kappa = nu L/n.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.theory.criticality.critical import (
    VANISHING,
    Criticality,
    critical,
    mean_squared_slope,
    origin_sides,
    quartic_ratio,
)
from rgflow.theory.depth.asymptotics import predicted_laws

Array = NDArray[np.float64]


@checked
def entropy(neurons: int, G: ArrayLike, kappa: ArrayLike) -> Array:
    """Differential entropy of m neurons and one input, up to kappa^3.

    S = m/2 log(2 pi e G) - m(m+2) kappa^2/16 + m(m+2)(m+8) kappa^3/48.

    Parameters
    ----------
    neurons
        The number m of neurons.
    G
        Exact two-point function K + G1/n.
    kappa
        V/(n G^2).
    """
    m, k = neurons, np.asarray(kappa, dtype=np.float64)
    gaussian = m / 2 * np.log(2 * math.pi * math.e * np.asarray(G, dtype=np.float64))
    return np.asarray(gaussian - m * (m + 2) * k**2 / 16 + m * (m + 2) * (m + 8) * k**3 / 48)


@checked
def mutual_information(first: int, second: int, kappa: ArrayLike) -> Array:
    """Mutual information of m_1 and m_2 neurons of a layer, one input, up to kappa^3.

    I = m_1 m_2/8 [kappa^2 - (20 + 3(m_1 + m_2)) kappa^3/6] = S_{m_1} + S_{m_2} - S_{m_1+m_2}.

    Parameters
    ----------
    first, second
        The numbers m_1, m_2 of neurons.
    kappa
        V/(n G^2).
    """
    k = np.asarray(kappa, dtype=np.float64)
    return np.asarray(first * second / 8 * (k**2 - (20 + 3 * (first + second)) * k**3 / 6))


@checked
def mutual_information_of_inputs(first: int, second: int, K: ArrayLike, V: ArrayLike, width: float) -> float:
    """Leading mutual information of m_1 and m_2 neurons over N inputs, m_1 m_2/(8 n^2) V_(ab)(cd) V^(ab)(cd).

    Parameters
    ----------
    first, second
        The numbers m_1, m_2 of neurons.
    K
        Kernel, shape (N, N), invertible.
    V
        Vertex without 1/n, shape (N, N, N, N).
    width
        Width n = n_{l-1} of the layer before.
    """
    _require_positive("width", width)
    return first * second * _squares(K, V)[0] / (8 * width**2)


@checked
def negentropy(neurons: int, K: ArrayLike, V: ArrayLike, width: float) -> float:
    """Leading deficit of the entropy of m neurons below that of a Gaussian of the same covariance, over N inputs.

    J = [m^2 V_(ab)(cd) V^(ab)(cd) + 2 m V_(ab)(cd) V^(ac)(bd)]/(16 n^2); parameters as for
    `mutual_information_of_inputs`.
    """
    _require_positive("width", width)
    direct, crossed = _squares(K, V)
    return (neurons**2 * direct + 2 * neurons * crossed) / (16 * width**2)


@checked
def vertex_growth(activation: str | Activation, residual: float = 0.0) -> float:
    """Growth nu of V/K^2 per layer at criticality, so that V/(n K^2) tends to nu L/n at equal widths.

    3 A_4/A_2^2 - 1 for scale-invariant activations (linear 2, ReLU 5), a third of that in the class K*=0 (2/3 for
    smooth ones; reached like 1/ln(L) if sigma is linear around 0, as hard_tanh is), v*/K*^2 for half-stable ones. With a
    skip connection of strength gamma, z' = gamma z + b + W sigma(z),

        nu = (1 - gamma^2) [(3r - 1) + gamma^2 (5 - 3r) + 4/pi (Delta/A_2)^2 gamma (1 + gamma)],

    r = A_4/A_2^2, Delta = a_+^2 - a_-^2, for scale-invariant activations.

    Parameters
    ----------
    activation
        Activation, or the name of a registered one.
    residual
        gamma, 0 <= gamma < 1.

    Raises
    ------
    RgflowError
        Activation without a critical point or law of growth; gamma out of range, or not 0 without scale invariance.
    """
    sigma = find_activation(activation)
    if not 0.0 <= residual < 1.0:
        raise RgflowError(f"residual = {residual}; allowed: 0 <= residual < 1")
    if sigma.slopes is None:
        if residual:
            raise RgflowError(f"activation {sigma.label} is not scale-invariant; allowed: residual = 0")
        return _growth_without_skip(critical(sigma))
    r, gamma = quartic_ratio(sigma), residual
    below, above = origin_sides(sigma, 1)
    tilt = (above**2 - below**2) / mean_squared_slope(sigma)
    three_point = 4 / math.pi * tilt**2 * gamma * (1 + gamma)
    return (1 - gamma**2) * ((3 * r - 1) + gamma**2 * (5 - 3 * r) + three_point)


def _growth_without_skip(point: Criticality) -> float:
    if point.universality_class == VANISHING:  # K falls, by a power or slower, which always leaves a third
        return (3 * quartic_ratio(point.activation) - 1) / 3
    return predicted_laws(point, depth=1)["V/K^2"].coefficient


@checked
def optimal_aspect_ratio(nu: float, outputs: int) -> float:
    """Depth-to-width ratio r* = 4/((20 + 3 n_L) nu) at which the two-term mutual information of the outputs is largest.

    It marks where the expansion in kappa = nu L/n stops being reliable, rather than a maximum of the exact information.

    Parameters
    ----------
    nu
        Growth of V/K^2 per layer (`vertex_growth`).
    outputs
        Number n_L of output neurons, divided between the two groups.
    """
    _require_positive("nu", nu)
    _require_positive("outputs", outputs)
    return 4.0 / ((20 + 3 * outputs) * nu)


def _require_positive(name: str, value: float) -> None:
    if not value > 0:
        raise RgflowError(f"{name} = {value}; it must be positive")


def _squares(K: ArrayLike, V: ArrayLike) -> tuple[float, float]:
    """V_(ab)(cd) V^(ab)(cd) and V_(ab)(cd) V^(ac)(bd), indices raised with the inverse kernel."""
    kernel, vertex = np.asarray(K, dtype=np.float64), np.asarray(V, dtype=np.float64)
    if kernel.ndim != 2 or vertex.shape != (len(kernel),) * 4 or kernel.shape != vertex.shape[:2]:
        raise RgflowError(f"K of shape {kernel.shape} with V of shape {vertex.shape}; allowed: (N, N) and (N, N, N, N)")
    try:
        inverse = np.linalg.inv(kernel)
    except np.linalg.LinAlgError:
        raise RgflowError("K is singular; leave out repeated or linearly dependent inputs") from None
    raised = np.einsum("pqrs,ap,bq,cr,ds->abcd", vertex, *[inverse] * 4, optimize=True)
    return float(np.sum(vertex * raised)), float(np.sum(vertex * raised.transpose(0, 2, 1, 3)))
