"""Phases of an activation in the plane (C_b, C_W): the kernel the flow tends to, and what it does to nearby inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rgflow.activations.activation import Activation
from rgflow.activations.registry import activation as find_activation
from rgflow.errors import RgflowError
from rgflow.theory.criticality.susceptibility import (
    chi_parallel,
    chi_perp,
    correlation_depth,
    dips,
    mean_square,
    turning_points,
)

if TYPE_CHECKING:
    import xarray as xr

Array = NDArray[np.float64]

_GRID = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 161)])  # 16 per decade; contains K = 1
_START = int(np.argmin(np.abs(_GRID - 1.0)))
_TINY = 1e-12  # stands for K = 0 in susceptibilities, so that a kink at 0 is seen from both sides


def fixed_point(activation: str | Activation, C_b: ArrayLike, C_W: ArrayLike) -> Array:
    """Kernel K* that the flow K' = C_b + C_W <sigma^2>_K tends to from K = 1.

    Parameters
    ----------
    activation
        Activation, or the name of a registered one.
    C_b, C_W
        Variances, broadcast against each other; C_b >= 0 and C_W > 0.

    Returns
    -------
    Array of the broadcast shape; inf where the kernel grows beyond 1e4, and 1 where every kernel is fixed.

    Raises
    ------
    RgflowError
        Negative C_b, or C_W that is not positive.
    """
    sigma = find_activation(activation)
    bias, weight = np.broadcast_arrays(np.asarray(C_b, dtype=np.float64), np.asarray(C_W, dtype=np.float64))
    if not (np.all(bias >= 0.0) and np.all(weight > 0.0)):
        raise RgflowError(f"activation {sigma.label}: C_b must not be negative and C_W must be positive everywhere")
    low, high = _brackets(sigma, bias.ravel(), weight.ravel())
    K = np.where(np.isfinite(high), low, np.inf)
    open_ = np.isfinite(high) & (low < high)
    if open_.any():
        K[open_] = _polish(sigma, bias.ravel()[open_], weight.ravel()[open_], low[open_], high[open_])
    return K.reshape(bias.shape)[()]


def phase_diagram(activation: str | Activation, C_b: ArrayLike, C_W: ArrayLike) -> xr.Dataset:
    """Fixed points and susceptibilities on a grid of initializations.

    Parameters
    ----------
    activation
        Activation, or the name of a registered one.
    C_b, C_W
        One-dimensional grids, C_b >= 0 and C_W > 0.

    Returns
    -------
    Dataset with dims (C_b, C_W): `K_star` (see `fixed_point`), `chi_parallel`, `chi_perp` at K_star (nan where it is
    infinite), and the correlation depths `xi_parallel`, `xi_perp` = -1/ln|chi|, negative where a difference of two
    inputs grows. chi_perp < 1 is the ordered phase, chi_perp > 1 the chaotic one.

    Raises
    ------
    RgflowError
        As `fixed_point`.
    """
    import xarray as xr

    sigma = find_activation(activation)
    bias, weight = np.asarray(C_b, dtype=np.float64), np.asarray(C_W, dtype=np.float64)
    K_star = fixed_point(sigma, bias[:, None], weight)
    finite = np.isfinite(K_star)
    K = np.where(finite, np.maximum(K_star, _TINY), 1.0)
    chi = {
        "parallel": np.where(finite, chi_parallel(sigma, weight, K), np.nan),
        "perp": np.where(finite, chi_perp(sigma, weight, K), np.nan),
    }
    variables = {"K_star": K_star}
    variables |= {f"chi_{name}": value for name, value in chi.items()}
    variables |= {f"xi_{name}": correlation_depth(value) for name, value in chi.items()}
    return xr.Dataset(
        {name: (("C_b", "C_W"), value) for name, value in variables.items()},
        coords={"C_b": bias, "C_W": weight},
        attrs={"activation": sigma.label},
    )


def _brackets(sigma: Activation, C_b: Array, C_W: Array) -> tuple[Array, Array]:
    """Neighbouring grid kernels around the fixed point next to K = 1, downstream of the flow; (inf, inf) if none.

    Both ends are equal if that kernel is itself fixed: K = 0 if nothing feeds it, or any K on a line of fixed points.
    """
    change = C_b[:, None] + C_W[:, None] * mean_square(sigma, 0, _GRID) - _GRID
    fixed = np.abs(change) <= 1e-13 * np.maximum(_GRID + _TINY, C_b[:, None])
    change[fixed] = 0.0
    rows = np.arange(len(C_b))
    rising = change[:, _START] > 0.0
    above = _START + np.argmax(change[:, _START:] <= 0.0, axis=1)
    below = _START - np.argmax(change[:, _START::-1] >= 0.0, axis=1)
    low, high = np.where(rising, above - 1, below), np.where(rising, above, below + 1)
    high = np.where(fixed[rows, low], low, high)
    low, high = (np.where(fixed[:, _START], _START, index) for index in (low, high))
    escaped = rising & (change[:, _START:] > 0.0).all(axis=1)
    low, high = np.where(escaped, np.inf, _GRID[low]), np.where(escaped, np.inf, _GRID[high])
    return _nearer_brackets(sigma, C_b, C_W, np.where(fixed, 0.0, change), (low, high))


def _nearer_brackets(
    sigma: Activation, C_b: Array, C_W: Array, change: Array, found: tuple[Array, Array]
) -> tuple[Array, Array]:
    """The brackets, or nearer ones where the flow turns back between two grid kernels, so that two fixed points hide there.

    Where the change has one sign at both ends of a grid interval and first falls in size, then rises, its sign at the turning
    point decides.
    """
    low, high = (ends.copy() for ends in found)
    row, i = np.nonzero(dips(change))
    sign = np.sign(change[row, i])

    def toward(K: Array, these: NDArray[np.intp]) -> Array:
        return np.asarray(sign[these] * (chi_parallel(sigma, C_W[row[these]], np.maximum(K, _TINY)) - 1.0))

    points, which = turning_points(toward, _GRID[i], _GRID[i + 1])
    row, i, sign = row[which], i[which], sign[which]
    beyond = sign * (C_b[row] + C_W[row] * mean_square(sigma, 0, points) - points) < 0.0
    downstream = np.where(
        change[row, _START] > 0.0, (i >= _START) & (points < low[row]), (i < _START) & (points > high[row])
    )
    for a, k, point in zip(*(part[beyond & downstream] for part in (row, i, points)), strict=True):
        if change[a, _START] > 0.0 and point < low[a]:
            low[a], high[a] = _GRID[k], point
        elif change[a, _START] < 0.0 and point > high[a]:
            low[a], high[a] = point, _GRID[k + 1]
    return low, high


def _polish(sigma: Activation, C_b: Array, C_W: Array, low: Array, high: Array) -> Array:
    """Root of C_b + C_W <sigma^2>_K - K, which falls through 0 in each bracket: Newton, safeguarded by bisection."""
    K, low, high = (low + high) / 2, low.copy(), high.copy()
    active = np.arange(K.size)
    for _ in range(100):
        now = K[active]
        change = C_b[active] + C_W[active] * mean_square(sigma, 0, now) - now
        low[active] = np.where(change > 0.0, now, low[active])
        high[active] = np.where(change > 0.0, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):  # a marginal point is left to the bisection
            newton = now + change / (1.0 - chi_parallel(sigma, C_W[active], np.maximum(now, _TINY)))
        inside = (low[active] <= newton) & (newton <= high[active])
        K[active] = np.where(inside, newton, (low[active] + high[active]) / 2)
        active = active[(np.abs(K[active] - now) > 1e-13 * now) & (np.abs(change) > 1e-15 * now)]
        if not active.size:
            break
    return K
