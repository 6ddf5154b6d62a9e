"""Significance of the largest z-score, and series in 1/n fitted to many components at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, erfc

from rgflow.errors import RgflowError

Array = NDArray[np.float64]


def look_elsewhere(largest: Array, components: Array | int) -> Array:
    """Probability that the largest of ``components`` independent |z| exceeds ``largest``.

    p = 1 - (1 - erfc(|z| / sqrt 2))^m (Šidák). Positively correlated components make the true probability smaller: the
    returned value is then an upper bound.
    """
    single = erfc(np.asarray(largest, dtype=float) / np.sqrt(2.0))
    with np.errstate(divide="ignore"):  # single = 1: every z is exactly 0 and p = 1
        result: Array = -np.expm1(np.asarray(components) * np.log1p(-single))
    return result


def chi2_p_value(chi2: Array, dof: int) -> Array:
    """Probability of a larger chi^2; 1 if the fit has no degree of freedom left."""
    if dof == 0:
        return np.ones_like(chi2)
    result: Array = chdtrc(dof, chi2)
    return result


@dataclass(frozen=True)
class SeriesFit:
    """Weighted least-squares fit of sum_k c_k / n^k, independently for every component.

    Attributes
    ----------
    powers : tuple of int
        The exponents k.
    coefficients, stderr : array (power, component)
        c_k and its standard error.
    chi2 : array (component,)
    dof : int
        Widths minus powers.
    """

    powers: tuple[int, ...]
    coefficients: Array
    stderr: Array
    chi2: Array
    dof: int

    @property
    def p_value(self) -> Array:
        """Probability of a larger chi^2, per component."""
        return chi2_p_value(self.chi2, self.dof)


def fit_series(values: Array, stderr: Array, widths: Array, powers: tuple[int, ...]) -> SeriesFit:
    """Fit ``values`` (width, component) by sum over ``powers`` of c_k / n^k with weights 1/stderr^2.

    Widths are taken as statistically independent; components are fitted one by one, whatever their correlation.

    Raises
    ------
    RgflowError
        If there are fewer widths than powers.
    """
    if len(widths) < len(powers):
        raise RgflowError(f"a fit of {len(powers)} powers of 1/n needs as many widths, got {len(widths)}")
    scale = np.min(widths) ** np.asarray(powers, dtype=float)  # keeps the design matrix of order one
    design = (np.min(widths) / np.asarray(widths, dtype=float))[:, None] ** np.asarray(powers)
    weighted = design[None] / stderr.T[:, :, None]
    target = values.T / stderr.T
    pseudo_inverse = np.linalg.pinv(weighted)
    coefficients = np.einsum("cpw,cw->pc", pseudo_inverse, target)
    residual = target - np.einsum("cwp,pc->cw", weighted, coefficients)
    spread = np.sqrt(np.einsum("cpw,cpw->pc", pseudo_inverse, pseudo_inverse))
    chi2 = np.einsum("cw,cw->c", residual, residual)
    return SeriesFit(powers, coefficients * scale[:, None], spread * scale[:, None], chi2, len(widths) - len(powers))
