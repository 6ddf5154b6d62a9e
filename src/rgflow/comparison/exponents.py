"""Depth exponents: how the dimensionless ratios V/K^2, D/(K Theta), ... grow with depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

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


class PowerLaw(NamedTuple):
    """value = amplitude * depth^exponent, and the standard error of the exponent."""

    exponent: float
    stderr: float
    amplitude: float


def fit_power_law(depth: Array, value: Array, covariance: Array) -> PowerLaw:
    """Fit log value = log amplitude + exponent log depth, weighted by the relative variances.

    The error is that of these weights under the full covariance, which may be singular: one estimated from fewer groups of
    networks than depths gives an unbiased error all the same.

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
    relative = full / np.outer(value, value)  # d log v = dv / v
    weight = np.diagonal(relative) ** -0.5
    design = np.stack([np.ones_like(depth), np.log(depth)], axis=1)
    estimator = np.linalg.pinv(weight[:, None] * design) * weight
    constant, exponent = estimator @ np.log(value)
    stderr = np.sqrt((estimator @ relative @ estimator.T)[1, 1])
    return PowerLaw(float(exponent), float(stderr), float(np.exp(constant)))


def depth_exponents(theory: xr.Dataset, ensembles: xr.Dataset, first_layer: int = 3) -> xr.Dataset:
    """Exponents of the dimensionless ratios of input 0 in the number l - 1 of hidden layers, l >= ``first_layer``.

    The ratios vanish at l = 1, and V/K^2 is proportional to l - 1 for scale-invariant activations. The same window and
    weights are used for theory, so its exponent contains the same corrections to the asymptotic value 1.

    Layers of one ensemble fluctuate together. If the ensembles carry ``<tensor>_covariance`` (width, sample_1, layer,
    layer_2) it is used in full; otherwise layers are taken as independent and the error is a rough guide.

    Parameters
    ----------
    theory, ensembles : xr.Dataset
        As in :func:`rgflow.comparison.compare.compare`.
    first_layer : int
        Start of the fitted window.

    Returns
    -------
    xr.Dataset
        ``depth_exponent``, ``depth_exponent_stderr``, ``depth_amplitude`` and ``depth_exponent_theory`` (ratio, width); NaN
        where a ratio changes sign within these layers, or errors are known of fewer than two of them.

    Raises
    ------
    RgflowError
        Theory and ensembles do not share a tensor and the means it is divided by.
    """
    known = [ratio for ratio, (tensor, means) in RATIOS.items() if {tensor, *means} <= {*theory} & {*ensembles}]
    if not known:
        raise RgflowError(f"theory and ensembles hold none of the ratios {', '.join(RATIOS)}")
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
    window = (ensemble["layer"].values >= first_layer) & np.isfinite(on_input_zero(ensemble, f"{tensor}_stderr"))
    depth = ensemble["layer"].values[window] - 1.0
    relative = _relative_covariance(ensemble, tensor, window)
    measured, predicted = (
        _fit(depth, on_input_zero(data, tensor)[window] / _product(data, means)[window], relative)
        for data in (ensemble, theory)
    )
    values = {
        "depth_exponent": measured.exponent,
        "depth_exponent_stderr": measured.stderr,
        "depth_amplitude": measured.amplitude,
        "depth_exponent_theory": predicted.exponent,
    }
    return xr.Dataset({name: ("width", [value]) for name, value in values.items()}, coords={"width": ensemble["width"]})


def _product(dataset: xr.Dataset, names: tuple[str, ...]) -> Array:
    return np.asarray(np.prod([on_input_zero(dataset, name) for name in names], axis=0))


def _fit(depth: Array, value: Array, relative: Array) -> PowerLaw:
    """Fit to the magnitude of a ratio; none if it changes sign, or too few of its errors are known."""
    if len(depth) < 2 or abs(np.sign(value).sum()) < len(value):
        return PowerLaw(np.nan, np.nan, np.nan)
    fit = fit_power_law(depth, np.abs(value), relative * _outer_like(value, relative))
    return fit._replace(amplitude=float(np.sign(value[0])) * fit.amplitude)


def on_input_zero(dataset: xr.Dataset, name: str) -> Array:
    """The diagonal component of input 0 on (layer,)."""
    array = dataset[name].isel({str(dim): 0 for dim in dataset[name].dims if str(dim).startswith("sample_")}, drop=True)
    return np.asarray(array.squeeze(drop=True).values, dtype=float)


def _relative_covariance(ensemble: xr.Dataset, tensor: str, window: NDArray[np.bool_]) -> Array:
    """Covariance between layers in units of the tensor; the much smaller errors of K and Theta are left out."""
    value = on_input_zero(ensemble, tensor)[window]
    if f"{tensor}_covariance" not in ensemble:
        return (on_input_zero(ensemble, f"{tensor}_stderr")[window] / value) ** 2
    covariance = ensemble[f"{tensor}_covariance"].isel(width=0, sample_1=0).values[np.ix_(window, window)]
    return np.asarray(covariance / np.outer(value, value))


def _outer_like(value: Array, relative: Array) -> Array:
    return value**2 if relative.ndim == 1 else np.outer(value, value)
