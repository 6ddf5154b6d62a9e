"""Depth exponents: how the dimensionless ratios V/K^2, D/(K Theta), ... grow with depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rgflow.comparison.statistics import chi2_p_value
from rgflow.errors import RgflowError

Array = NDArray[np.float64]

RATIOS: dict[str, tuple[str, tuple[str, ...]]] = {
    "V/K^2": ("V", ("K", "K")),
    "D/(K Theta)": ("D", ("K", "Theta")),
    "F/(K Theta)": ("F", ("K", "Theta")),
    "A/Theta^2": ("A", ("Theta", "Theta")),
    "B/Theta^2": ("B", ("Theta", "Theta")),
}
"""Dimensionless ratio to (tensor, the two means it is divided by); each is proportional to depth at criticality."""


@dataclass(frozen=True)
class PowerLaw:
    """value = amplitude * depth^exponent, fitted by generalized least squares to logarithms."""

    exponent: float
    stderr: float
    amplitude: float
    chi2: float
    dof: int

    @property
    def p_value(self) -> float:
        """Probability of a larger chi^2."""
        return float(chi2_p_value(np.array(self.chi2), self.dof))


def fit_power_law(depth: Array, value: Array, covariance: Array) -> PowerLaw:
    """Fit log value = log amplitude + exponent log depth.

    Parameters
    ----------
    depth, value : array (m,)
        Positive; m >= 2.
    covariance : array (m, m) or (m,)
        Covariance of ``value`` between depths; one dimension means independent depths with these variances.

    Raises
    ------
    RgflowError
        Values that are not positive, or fewer than two depths.
    """
    if len(depth) < 2 or (np.asarray(value) <= 0.0).any():
        raise RgflowError("a power law needs at least two depths and positive values")
    full = np.diag(covariance) if covariance.ndim == 1 else covariance
    factor = np.linalg.cholesky(full / np.outer(value, value))  # d log v = dv / v
    design = np.stack([np.ones_like(depth), np.log(depth)], axis=1)
    whitened, target = np.linalg.solve(factor, design), np.linalg.solve(factor, np.log(value))
    parameter_covariance = np.linalg.inv(whitened.T @ whitened)
    constant, exponent = parameter_covariance @ whitened.T @ target
    residual = target - whitened @ np.array([constant, exponent])
    return PowerLaw(
        float(exponent),
        float(np.sqrt(parameter_covariance[1, 1])),
        float(np.exp(constant)),
        float(residual @ residual),
        len(depth) - 2,
    )


def depth_exponents(theory: xr.Dataset, ensembles: xr.Dataset, first_layer: int = 3) -> xr.Dataset:
    """Exponents of the dimensionless ratios of input 0 in the number l - 1 of hidden layers, l >= ``first_layer``.

    The ratios vanish at l = 1, and V/K^2 is proportional to l - 1 for scale-invariant activations. The same window and
    weights are used for theory, so its exponent contains the same corrections to the asymptotic value 1.

    Layers of one ensemble fluctuate together. If the ensembles carry ``<tensor>_covariance`` (width, layer, layer_2)
    for input 0 it is used in full; otherwise layers are taken as independent and ``exponent_stderr`` is a rough guide.

    Parameters
    ----------
    theory, ensembles : xr.Dataset
        As in :func:`rgflow.comparison.compare.compare_initialization`.
    first_layer : int
        Start of the fitted window.

    Returns
    -------
    xr.Dataset
        ``exponent``, ``exponent_stderr``, ``amplitude``, ``power_law_chi2``, ``power_law_p_value`` and
        ``exponent_theory`` (ratio, width).
    """
    known = [ratio for ratio, (tensor, _) in RATIOS.items() if tensor in theory and tensor in ensembles]
    rows = [
        xr.concat(
            [_exponent(ratio, theory, ensembles.isel(width=[w]), first_layer) for w in range(ensembles.sizes["width"])],
            "width",
        )
        for ratio in known
    ]
    return xr.concat(rows, dim=xr.Variable("ratio", np.array(known, dtype=object)))


def _exponent(ratio: str, theory: xr.Dataset, ensemble: xr.Dataset, first_layer: int) -> xr.Dataset:
    tensor, means = RATIOS[ratio]
    window = ensemble["layer"].values >= first_layer
    depth = ensemble["layer"].values[window] - 1.0
    measured, predicted = (
        on_input_zero(data, tensor)[window] / np.prod([on_input_zero(data, mean)[window] for mean in means], axis=0)
        for data in (ensemble, theory)
    )
    relative = _relative_covariance(ensemble, tensor, window)
    fit = fit_power_law(depth, measured, relative * _outer_like(measured, relative))
    expected = fit_power_law(depth, predicted, relative * _outer_like(predicted, relative))
    values = {
        "exponent": fit.exponent,
        "exponent_stderr": fit.stderr,
        "amplitude": fit.amplitude,
        "power_law_chi2": fit.chi2,
        "power_law_p_value": fit.p_value,
        "exponent_theory": expected.exponent,
    }
    return xr.Dataset({name: ("width", [value]) for name, value in values.items()}, coords={"width": ensemble["width"]})


def on_input_zero(dataset: xr.Dataset, name: str) -> Array:
    """The diagonal component of input 0 on (layer,)."""
    array = dataset[name].isel({str(dim): 0 for dim in dataset[name].dims if str(dim).startswith("sample_")}, drop=True)
    return np.asarray(array.squeeze(drop=True).values, dtype=float)


def _relative_covariance(ensemble: xr.Dataset, tensor: str, window: NDArray[np.bool_]) -> Array:
    """Covariance between layers in units of the tensor; the much smaller errors of K and Theta are left out."""
    value = on_input_zero(ensemble, tensor)[window]
    if f"{tensor}_covariance" not in ensemble:
        return (on_input_zero(ensemble, f"{tensor}_stderr")[window] / value) ** 2
    covariance = np.asarray(ensemble[f"{tensor}_covariance"].squeeze(drop=True).values)[np.ix_(window, window)]
    return np.asarray(covariance / np.outer(value, value))


def _outer_like(value: Array, relative: Array) -> Array:
    return value**2 if relative.ndim == 1 else np.outer(value, value)
