"""Gaussian averages of any product of derivatives on one dense grid, for inputs in a plane: an oracle of the engines."""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.registry import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import trapezoid_rule

Array = NDArray[np.float64]

_MAX_DIMENSIONS = 2
_MAX_ORDER = 3
_REACH = 9.0  # standard deviations; beyond, 1e-18 of the weight
_STEP = 0.25  # resolves the Gaussian to 1e-16
_PER_RADIUS = 9.0  # nodes within the distance of the nearest singularity, for products of third derivatives


class DenseAverages:
    """Averages over N inputs with covariance K of rank one or two.

    The trapezoidal rule in whitened coordinates converges exponentially for analytic activations; the step resolves poles of
    high order at the distance of the activation's nearest singularity to better than 1e-10.

    Parameters
    ----------
    activation
        An activation without kinks.
    K
        Covariance (N, N), positive semidefinite.

    Raises
    ------
    RgflowError
        K of rank above two.
    """

    def __init__(self, activation: Activation, K: ArrayLike) -> None:
        variance, axes = np.linalg.eigh(np.asarray(K, dtype=np.float64))
        spanned = variance > 1e-14 * variance[-1]
        if spanned.sum() > _MAX_DIMENSIONS:
            raise RgflowError(f"inputs that span {spanned.sum()} dimensions; allowed: up to {_MAX_DIMENSIONS}")
        loadings = axes[:, spanned] * np.sqrt(variance[spanned])
        step = min(_STEP, activation.quadrature_radius / (_PER_RADIUS * np.sqrt(max(variance[-1], 1e-300))))
        nodes, weights = trapezoid_rule(step, _REACH)
        grid = np.stack(np.meshgrid(*[nodes] * loadings.shape[1], indexing="ij")).reshape(loadings.shape[1], -1)
        self._weights = np.prod(np.meshgrid(*[weights] * loadings.shape[1], indexing="ij"), axis=0).ravel()
        self._tower = activation.derivatives(loadings @ grid, _MAX_ORDER)

    def mean(self, orders: tuple[int, ...]) -> Array:
        """<s_a s_b ...> with s_a = sigma^(orders[0])(z_a) and so on, orders up to 3: one leg per factor."""
        legs = string.ascii_lowercase[: len(orders)]
        subscripts = ",".join(f"{leg}z" for leg in legs)
        factors = [self._tower[order] for order in orders]
        factors[0] = factors[0] * self._weights
        return np.asarray(np.einsum(f"{subscripts}->{legs}", *factors, optimize=True))
