"""Gaussian averages of any product of derivatives on one dense grid, for inputs in a plane: an oracle of the engines."""

from __future__ import annotations

import string

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.errors import RgflowError
from rgflow.gaussian.nodes import trapezoid_rule

Array = NDArray[np.float64]

_MAX_DIMENSIONS = 2
_MAX_ORDER = 3
_LARGEST_ERROR = 1e-9
_REACH = 9.0  # standard deviations; beyond, 1e-18 of the weight
_STEP = 0.25  # resolves the Gaussian to 1e-16
_MOST_VALUES = 2e7  # of sigma and of each derivative: 160 MB
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
        K of rank above two, or so large that the grid does not fit into memory.
    """

    def __init__(self, activation: Activation, K: ArrayLike) -> None:
        variance, axes = np.linalg.eigh(np.asarray(K, dtype=np.float64))
        spanned = variance > 1e-14 * variance[-1]
        if spanned.sum() > _MAX_DIMENSIONS:
            raise RgflowError(f"inputs that span {spanned.sum()} dimensions; allowed: up to {_MAX_DIMENSIONS}")
        loadings = axes[:, spanned] * np.sqrt(variance[spanned])
        if not spanned.any():  # all inputs are 0 for certain: any one direction will do
            loadings = np.zeros((len(variance), 1))
        step = min(_STEP, activation.quadrature_radius / (_PER_RADIUS * np.sqrt(max(variance[-1], 1e-300))))
        size = (2 * _REACH / step) ** loadings.shape[1] * len(variance)
        if size > _MOST_VALUES:
            raise RgflowError(
                f"Gaussian means of {activation.label} at K = {variance[-1]:.3g} on a dense grid need {size:.1e} values, "
                f"more than {_MOST_VALUES:.0e}; scale the inputs down, or choose C_b and C_W closer to criticality"
            )
        nodes, weights = trapezoid_rule(step, _REACH)
        grid = np.stack(np.meshgrid(*[nodes] * loadings.shape[1], indexing="ij")).reshape(loadings.shape[1], -1)
        self._colour = np.indices((nodes.size,) * loadings.shape[1]).sum(axis=0).ravel() % 2
        self._label, self.error = activation.label, 1e-13  # the error: largest so far, relative to root mean squares
        self._weights = np.prod(np.meshgrid(*[weights] * loadings.shape[1], indexing="ij"), axis=0).ravel()
        self._tower = activation.derivatives(loadings @ grid, _MAX_ORDER)

    def mean(self, orders: tuple[int, ...]) -> Array:
        """<s_a s_b ...> with s_a = sigma^(orders[0])(z_a) and so on, orders up to 3: one leg per factor."""
        legs = string.ascii_lowercase[: len(orders)]
        subscripts = ",".join(f"{leg}z" for leg in legs)
        factors = [self._tower[order] for order in orders]
        halves = [self._half(f"{subscripts}->{legs}", factors, parity) for parity in (0, 1)]
        scale = np.sqrt([np.max(factor**2 @ self._weights) for factor in factors]).prod()
        error = 10 * (float(np.max(np.abs(halves[1] - halves[0]))) / max(scale, 1e-300)) ** 2
        if error > _LARGEST_ERROR:
            raise RgflowError(
                f"Gaussian means of {self._label} on a dense grid: estimated relative error {error:.1e}; declare the kinks or a "
                "smaller analytic_radius"
            )
        self.error = max(self.error, error)
        return np.asarray((halves[0] + halves[1]) / 2)

    def _half(self, subscripts: str, factors: list[Array], parity: int) -> Array:
        """The mean on every second node, as the squares of one colour of a chessboard: its error is the root of that of all."""
        half = self._colour == parity
        first, *rest = (factor[:, half] for factor in factors)
        return np.asarray(np.einsum(subscripts, 2 * self._weights[half] * first, *rest, optimize=True))
