"""Significance of the largest z-score, and series in 1/n fitted to many components at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, erfc, fdtrc, ndtri, stdtr

from rgflow.errors import RgflowError

Array = NDArray[np.float64]

_SMALLEST_TAIL = 1e-300


def look_elsewhere(largest: Array, components: Array | int) -> Array:
    """Probability that the largest of ``components`` independent |z| exceeds ``largest``.

    p = 1 - (1 - erfc(|z| / sqrt 2))^m (Šidák). Positively correlated components make the true probability smaller: the
    returned value is then an upper bound.
    """
    single = erfc(np.asarray(largest, dtype=float) / np.sqrt(2.0))
    with np.errstate(divide="ignore"):  # single = 1: every z is exactly 0 and p = 1
        result: Array = -np.expm1(np.asarray(components) * np.log1p(-single))
    return result


def normal_score(t: Array, dof: Array | float) -> Array:
    """The z of a normal distribution that is as unlikely as t of Student's with ``dof`` degrees of freedom.

    An error estimated from few groups is uncertain itself: a deviation in its units follows Student's distribution. Its normal
    score has the p-value, and under the null hypothesis the rms, that a z-score should have.

    Parameters
    ----------
    t
        Deviations in units of estimated errors.
    dof
        Degrees of freedom of the errors, broadcast against ``t``; infinity leaves t as it is.
    """
    t, dof = np.broadcast_arrays(np.asarray(t, dtype=float), np.asarray(dof, dtype=float))
    tail = stdtr(np.where(np.isinf(dof), 1.0, dof), -np.abs(t))
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = -ndtri(tail)
        far = np.sqrt(dof * np.log1p(t**2 / dof)) * (8 * dof + 1) / (8 * dof + 3)  # where the tail underflows (Wallace)
    score = np.where(tail > _SMALLEST_TAIL, exact, far)
    return np.asarray(np.where(np.isinf(dof), t, np.copysign(score, t)))


def combined_dof(variances: Array, dof: Array) -> Array:
    """Degrees of freedom of a sum of independent terms, from their variances and degrees of freedom (Welch, Satterthwaite).

    Parameters
    ----------
    variances
        (term, component) squared errors of the terms.
    dof
        (term,) degrees of freedom of each.
    """
    total = variances.sum(axis=0)
    uncertainty = (variances**2 / dof[:, None]).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(uncertainty > 0.0, total**2 / uncertainty, np.inf))


def fit_p_value(chi2: Array, dof: int, error_dof: Array) -> Array:
    """Probability of a larger chi^2 of a fit with errors of ``error_dof`` degrees of freedom; 1 if the fit has none left."""
    if dof == 0:
        return np.ones_like(chi2)
    with np.errstate(invalid="ignore"):
        estimated = fdtrc(dof, np.where(np.isinf(error_dof), 1.0, error_dof), chi2 / dof)
    return np.asarray(np.where(np.isinf(error_dof), chdtrc(dof, chi2), estimated))


@dataclass(frozen=True)
class SeriesFit:
    """Least-squares fit of sum_k c_k / n^k, independently for every component.

    Attributes
    ----------
    powers : tuple of int
        The exponents k.
    coefficients, stderr : array (power, component)
        c_k and its standard error.
    coefficient_dof : array (power, component)
        Degrees of freedom of these errors.
    chi2 : array (component,)
    dof : int
        Widths minus powers.
    p_value : array (component,)
        Probability of a larger chi^2.
    """

    powers: tuple[int, ...]
    coefficients: Array
    stderr: Array
    coefficient_dof: Array
    chi2: Array
    dof: int
    p_value: Array

    def scores(self, power: int, expected: Array | float, theory_error: Array | float = 0.0) -> Array:
        """Normal scores of one coefficient against what is expected of it, which may have an error of its own."""
        place = self.powers.index(power)
        own = self.stderr[place]
        total = np.hypot(own, theory_error)
        dof = self.coefficient_dof[place] * (total / own) ** 4
        return normal_score((self.coefficients[place] - expected) / total, dof)


def fit_series(
    values: Array,
    stderr: Array,
    widths: Array,
    powers: tuple[int, ...],
    dof: Array | float = np.inf,
    weights: Array | None = None,
) -> SeriesFit:
    """Fit ``values`` (width, component) by the sum over ``powers`` of c_k / n^k.

    Widths are taken as statistically independent; components are fitted one by one, whatever their correlation.

    Parameters
    ----------
    values, stderr
        (width, component) estimates and their errors.
    widths
        (width,) n.
    powers
        The exponents k.
    dof
        Degrees of freedom of the errors, one number or (width,).
    weights
        (width, component) weights of the fit. They must not be correlated with the deviations of the values, as errors from few
        groups of the same networks can be; see ``pooled_weights``. By default 1/stderr^2.

    Raises
    ------
    RgflowError
        If there are fewer widths than powers.
    """
    if len(widths) < len(powers):
        raise RgflowError(f"a fit of {len(powers)} powers of 1/n needs as many widths, got {len(widths)}")
    scale = np.min(widths) ** np.asarray(powers, dtype=float)  # keeps the design matrix of order one
    design = (np.min(widths) / np.asarray(widths, dtype=float))[:, None] ** np.asarray(powers)
    own = stderr**-2.0
    estimator = _estimator(design, own if weights is None else weights)
    variances = (estimator * stderr.T[:, None]) ** 2
    each = np.broadcast_to(np.asarray(dof, dtype=float), len(widths))
    coefficient_dof = np.stack([combined_dof(variances[:, k].T, each) for k in range(len(powers))])
    residual = values - design @ np.einsum("cpw,wc->pc", _estimator(design, own), values)
    chi2, left = np.einsum("wc,wc->c", residual**2, own), len(widths) - len(powers)
    return SeriesFit(
        powers,
        np.einsum("cpw,wc->pc", estimator, values) * scale[:, None],
        np.sqrt(variances.sum(axis=2)).T * scale[:, None],
        coefficient_dof,
        chi2,
        left,
        fit_p_value(chi2, left, combined_dof(stderr**2, each)),
    )


def pooled_weights(stderr: Array) -> Array:
    """Weights (width, component) from errors that are pooled over the components of one quantity.

    How errors depend on the width is common to the components of a quantity, up to a factor for each: so the weights of one
    component are nearly independent of its own fluctuations.
    """
    relative = stderr / np.sqrt((stderr**2).mean(axis=0))
    pooled = (relative**2).mean(axis=1, keepdims=True)
    return np.broadcast_to(1.0 / pooled, stderr.shape)


def _estimator(design: Array, weights: Array) -> Array:
    """(component, power, width): what takes values to the coefficients of the weighted fit."""
    root = np.sqrt(weights).T
    return np.asarray(np.linalg.pinv(design[None] * root[:, :, None]) * root[:, None, :])
