"""Nodes for averages of any function of one neuron's activations over a few inputs, in the line or plane that these span."""

from __future__ import annotations

import math

import numpy as np

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import normal_density, panel_rule, piecewise_edges, trapezoid_rule
from rgflow.theory.initialization.contraction import Array

REACH = 8.7  # standard deviations of a Gaussian beyond which it is 4e-17 of its peak
_PANEL = 16  # nodes


def neuron_nodes(activation: Activation, K: Array, fineness: float, shift: float) -> tuple[Array, Array]:
    """Preactivations z ~ N(0, K), (sample, node), and the weights of the nodes.

    Parameters
    ----------
    activation
        Smooth; or, in a plane, scale-invariant; or, on a line, any.
    K
        Covariance (sample, sample) of rank one or two.
    fineness
        1 for steps that resolve the activation; larger for functions of it that vary faster.
    shift
        0 or 1/2: two sets of nodes whose difference tells the error.

    Raises
    ------
    RgflowError
        A larger rank, or kinks in a plane that no scaling leaves in place.
    """
    variance, axes = np.linalg.eigh(K)
    spanned = variance > 1e-13 * variance[-1]
    loadings = axes[:, spanned] * np.sqrt(variance[spanned])
    _check(activation, loadings.shape[1])
    if not activation.kinks:
        u, weight = _smooth(activation, loadings, fineness, shift)
    else:
        rule = _line if loadings.shape[1] == 1 else _polar
        u, weight = rule(activation, loadings, round(_PANEL * (fineness + shift / 3)))
    return loadings @ u, weight


def _check(activation: Activation, dimensions: int) -> None:
    allowed = 1 if activation.kinks and activation.slopes is None else 2
    if dimensions > allowed:
        what = f"train and test samples span {dimensions} dimensions in the first layer, its biases included"
        raise RgflowError(f"{what}; allowed for {activation.label}: {allowed}")


def _smooth(activation: Activation, loadings: Array, fineness: float, shift: float) -> tuple[Array, Array]:
    step = min(0.25, activation.quadrature_radius / (9 * np.abs(loadings).max())) / fineness
    nodes, weights = trapezoid_rule(step, REACH, shift)
    dimensions = loadings.shape[1]
    u = np.stack(np.meshgrid(*[nodes] * dimensions, indexing="ij")).reshape(dimensions, -1)
    return u, np.prod(np.meshgrid(*[weights] * dimensions, indexing="ij"), axis=0).ravel()


def _line(activation: Activation, loadings: Array, count: int) -> tuple[Array, Array]:
    """Panels between the kinks of all samples."""
    breaks = [kink / scale for scale in loadings[:, 0] if scale for kink in activation.kinks]
    width = min(1.0, activation.analytic_radius / np.abs(loadings).max())
    u, w = panel_rule(piecewise_edges(breaks, width, REACH, width), count)
    return u[None], w * normal_density(u)


def _polar(_: Activation, loadings: Array, count: int) -> tuple[Array, Array]:
    """u = r (cos t, sin t) with panels in t from kink to kink and in r; the measure is r exp(-r^2/2) dr dt/(2 pi)."""
    kinks = np.arctan2(-loadings[:, 0], loadings[:, 1]) % math.pi
    turns = sorted({*kinks.tolist(), *(kinks + math.pi).tolist()})
    t, angular = panel_rule([*turns, turns[0] + 2 * math.pi], count)
    r, radial = panel_rule(np.linspace(0.0, REACH, 8), count)
    u = np.stack([np.multiply.outer(r, np.cos(t)), np.multiply.outer(r, np.sin(t))])
    weight = np.multiply.outer(radial * r * np.exp(-(r**2) / 2), angular / (2 * math.pi))
    return u.reshape(2, -1), weight.ravel()
