"""Theory against experiment, component by component: z-scores, the trend in 1/n, and their summary.

All quantities go through one path. Every distinct tensor component becomes one entry along ``component``, labelled by
the coordinates ``component_quantity`` and the indices of its dims (-1 where a quantity has no such dim):

=====================================  =======================  ====================================================
variable                               dims                     meaning
=====================================  =======================  ====================================================
theory, theory_error                   component                leading order t, and its numerical error
next_order, next_order_error           component                coefficient g of 1/n: theory's, else the fitted slope
next_order_known                       component                whether theory gives g
experiment, stderr                     width, component         e, s
degrees_of_freedom                     width                    of s, from the number of groups of networks
z_leading                              width, component         (e - t) / s, as a normal score (see below)
z_next                                 width, component         (e - t - g/n) / s where theory gives g, else z_leading
next_order_shift                       width, component         g / (n s): what the next order does to z
intercept, intercept_stderr            component                c_0 of the free fit e = c_0 + c_1/n (+ c_2/n^2)
fit_coefficient                        power, component         all coefficients of that fit
z_intercept                            component                (c_0 - t) / its error
fit_chi2, fit_p_value                  component                quality of the free fit
slope, slope_stderr                    component                c_1 of the fit e - t = c_1/n (+ c_2/n^2)
z_slope                                component                (c_1 - g) / its error; 0 where theory gives no g
trend_chi2, trend_p_value              component                quality of that fit: is e - t a pure series in 1/n?
components                             quantity                 number of distinct components
<z>_max, <z>_rms, <z>_p_value          quantity (, width)       summary of each z above
=====================================  =======================  ====================================================

Every z is a *normal score*: errors from G groups make (e - t)/s follow Student's distribution with G - 1 degrees of freedom,
and z is the normal deviate of the same p-value. Numerical errors of theory are part of the error. Fits weigh widths by errors
that are pooled over the components of a quantity, so that weights do not follow the fluctuations of what they weigh.

The variables of the two fits need at least two widths; attribute ``fit_widths`` names those that were fitted. Quadratic terms are
fitted from three widths on.

What is correlated: components of one ensemble (samples, layers, steps) share networks and fluctuate together; widths
are independent. So chi^2 over widths at fixed component is honest, an rms over components fluctuates more than
1/sqrt(2m), and the p-values of the largest |z| (Šidák) are upper bounds. Errors are never taken below the rounding of
float32 sampling. Components whose error is unknown (NaN) at some width are left out.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from rgflow.comparison.quantities import INITIALIZATION, Quantity
from rgflow.comparison.statistics import SeriesFit, fit_series, look_elsewhere, normal_score, pooled_weights
from rgflow.errors import RgflowError

ROUNDING = 1e-6
"""Relative rounding of estimates accumulated from float32 samples, in units of the largest value in the layer or step."""

EXACT = 1e-4
"""Largest relative disagreement of components that do not fluctuate (layer 1): more means a different setup."""

_NO_NOISE = 1e-12
"""Relative error below which a component does not fluctuate: what is known at the start of training is summed in float64."""

MOST_POWERS = 2
_FEWEST_WIDTHS = 3  # of a fit, if there are as many


def compare(
    theory: xr.Dataset, experiment: xr.Dataset, quantities: tuple[Quantity, ...], expands_from: float = 0.0
) -> xr.Dataset:
    """Compare all quantities that theory and an experiment of several widths have in common.

    Parameters
    ----------
    theory : xr.Dataset
        Leading orders under the names of the quantities, and next orders, coefficients without their 1/n.
    experiment : xr.Dataset
        Estimates with ``_stderr``, NaN where unknown, and a dim ``width``; all hidden layers have the width n of the label,
        and what is of order 1/n is multiplied by n already.
    quantities : tuple of Quantity
        What to compare.
    expands_from : float
        Width below which theory says that a series in 1/n is of no use. Fits take the widths from there on, and no fewer than
        the three widest.

    Returns
    -------
    xr.Dataset
        As described at the top of this module; attribute ``fit_widths`` tells which widths were fitted.

    Raises
    ------
    RgflowError
        Nothing in common, different labels, non-finite values, no known error, or a component without fluctuations that
        disagrees.
    """
    flat = _with_dof(_with_known_errors(_flat(theory, experiment, quantities)), experiment)
    fitted = _fitted_widths(flat["width"].values, expands_from)
    scored = _add_z_scores(_add_trend(flat, fitted))
    return _add_summary(scored, quantities).assign_attrs(fit_widths=fitted.tolist())


def compare_exact(exact: xr.Dataset, ensembles: xr.Dataset) -> xr.Dataset:
    """Compare tensors at initialization with laws that hold at every width, without any expansion in 1/n.

    Parameters
    ----------
    exact : xr.Dataset
        Tensors of :func:`rgflow.theory.initialization.exact.exact_theory` on (width, layer, sample_1, ...).
    ensembles : xr.Dataset
        As in :func:`compare`.

    Returns
    -------
    xr.Dataset
        ``exact``, ``experiment``, ``stderr``, ``z_exact`` = (e - exact)/s on (width, component), and the summary of the
        latter.

    Raises
    ------
    RgflowError
        As in :func:`compare`.
    """
    widths = ensembles["width"].values
    each = [_flat(exact.sel(width=n), ensembles.sel(width=[n]), INITIALIZATION) for n in widths]
    flat = xr.concat(each, "width", data_vars="all")[["theory", "experiment", "stderr"]].rename(theory="exact")
    flat = _with_dof(_with_known_errors(flat.transpose("width", "component")), ensembles)
    return _add_summary(flat.assign(z_exact=_scores(flat, flat["experiment"] - flat["exact"])), INITIALIZATION)


def _flat(theory: xr.Dataset, experiment: xr.Dataset, quantities: tuple[Quantity, ...]) -> xr.Dataset:
    """All distinct components of all quantities that both sides have, one after the other."""
    common = [q for q in quantities if q.name in theory and q.estimate in experiment]
    if not common:
        raise RgflowError(f"theory and experiment share none of {[q.name for q in quantities]}")
    dims = tuple(dict.fromkeys(dim for q in common for dim in q.dims))
    parts = [_drop_exact(q, _distinct(q, theory, experiment, dims)) for q in common]
    flat = xr.concat(parts, dim="component")
    if flat.sizes["component"] == 0:
        raise RgflowError("no component of the experiment fluctuates: nothing to compare")
    return flat


def _distinct(q: Quantity, theory: xr.Dataset, experiment: xr.Dataset, dims: tuple[str, ...]) -> xr.Dataset:
    """One entry along ``component`` per distinct component of ``q``, labelled by ``dims``."""
    *expected, estimate, stderr = _aligned(q, theory, experiment)
    index = q.distinct_components({str(dim): size for dim, size in expected[0].sizes.items()})
    pick = {dim: xr.DataArray(positions, dims="component") for dim, positions in index.items()}
    measured = [array.isel(pick).transpose("width", "component").values for array in (estimate, stderr)]
    size = measured[0].shape[1]
    known = ("theory", "theory_error", "next_order", "next_order_error")
    return xr.Dataset(
        {
            **{name: ("component", array.isel(pick).values) for name, array in zip(known, expected, strict=True)},
            "next_order_known": ("component", np.full(size, q.next_order in theory)),
            "experiment": (("width", "component"), measured[0]),
            "stderr": (("width", "component"), measured[1]),
        },
        coords={
            "width": experiment["width"].values,
            "component_quantity": ("component", np.full(size, q.name, dtype=object)),
            **{dim: ("component", _labels(expected[0], dim, index.get(dim), size)) for dim in dims},
        },
    )


def _aligned(q: Quantity, theory: xr.Dataset, experiment: xr.Dataset) -> list[xr.DataArray]:
    """Theory, its error, next order (0 if unknown), its error, estimate and standard error, labelled alike.

    All are finite, but for standard errors that are unknown.
    """
    leading = theory[q.name].transpose(*q.dims)
    nothing = xr.zeros_like(leading)
    following = [theory.get(name, nothing) for name in (q.next_order, f"{q.next_order}_error")]
    expected = [leading, theory.get(f"{q.name}_error", nothing), *following]
    arrays = [*expected, experiment[q.estimate], experiment[f"{q.estimate}_stderr"]]
    try:
        xr.align(*arrays, join="exact")
    except ValueError as error:
        raise RgflowError(
            f"{q.name}: theory and experiment have different labels: {str(error).splitlines()[0]}"
        ) from error
    *values, stderr = arrays
    if not all(np.isfinite(array.values).all() for array in values) or np.isinf(stderr.values).any():
        raise RgflowError(f"{q.name}: theory and estimate must be finite everywhere, and standard errors finite or NaN")
    return arrays


def _with_known_errors(flat: xr.Dataset) -> xr.Dataset:
    """Remove components whose error is unknown, NaN, at some width: their deviations cannot be judged."""
    known = flat["stderr"].notnull().all("width").values
    if not known.any():
        raise RgflowError("the error of no component is known at all widths: take wider networks, or more of them")
    return flat.isel(component=known)


def _labels(array: xr.DataArray, dim: str, positions: np.ndarray | None, size: int) -> np.ndarray:
    return np.full(size, -1) if positions is None else np.asarray(array[dim].values[positions])


def _drop_exact(q: Quantity, flat: xr.Dataset) -> xr.Dataset:
    """Remove components without statistical error, which must agree; put a floor of rounding under the other errors."""
    largest = _largest_beside(q, flat)
    exact = (flat["stderr"] <= _NO_NOISE * largest).all("width")
    known = flat["theory"] + flat["next_order"] / flat["width"]
    differs = (abs(flat["experiment"] - known) > EXACT * largest).any("width")
    if bool((exact & differs).any()):
        raise RgflowError(
            f"{q.name}: components that do not fluctuate disagree; do both sides share inputs, C_b and C_W?"
        )
    floored = flat.assign(stderr=np.hypot(flat["stderr"], ROUNDING * largest))
    return floored.isel(component=~exact.values)


def _largest_beside(q: Quantity, flat: xr.Dataset) -> xr.DataArray:
    """Largest value of the quantity in the layer (or at the step) of each component: sizes may grow exponentially."""
    size = np.maximum(abs(flat["theory"].values), abs(flat["experiment"].values).max(axis=0))
    _, place = np.unique(flat[q.dims[0]].values, return_inverse=True)
    largest = np.zeros(len(size))
    np.maximum.at(largest, place, size)
    return xr.DataArray(largest[place], dims="component")


def _with_dof(flat: xr.Dataset, experiment: xr.Dataset) -> xr.Dataset:
    """Add the degrees of freedom of the errors of every width; infinity where the experiment does not tell."""
    sizes = flat.sizes["width"]
    told = experiment.get("degrees_of_freedom", xr.DataArray(np.inf))
    dof = np.broadcast_to(told.min([dim for dim in told.dims if dim != "width"]).values, sizes)
    return flat.assign(degrees_of_freedom=("width", dof.astype(float)))


def _fitted_widths(widths: np.ndarray, expands_from: float) -> np.ndarray:
    """The widths of the fits, narrowest first."""
    ordered = np.sort(widths)
    return ordered[min(int((ordered < expands_from).sum()), max(ordered.size - _FEWEST_WIDTHS, 0)) :]


def _add_trend(flat: xr.Dataset, fitted: np.ndarray) -> xr.Dataset:
    """Fits in 1/n, free and with theory as intercept; the fitted slope stands in for an unknown next order."""
    some, theory = flat.sel(width=fitted), flat["theory"].values
    highest = max(1, min(MOST_POWERS, fitted.size - 1))
    weights = _weights(some)
    pinned = _fit(some, some["experiment"].values - theory, tuple(range(1, highest + 1)), weights)
    following = np.where(flat["next_order_known"], flat["next_order"], pinned.coefficients[0])
    flat = flat.assign(next_order=("component", following))
    if fitted.size == 1:
        return flat
    free = _fit(some, some["experiment"].values, tuple(range(highest + 1)), weights)
    coefficients = {"fit_coefficient": (("power", "component"), free.coefficients)}
    return flat.assign(
        {
            **coefficients,
            **_fitted("intercept", "fit", free, theory, flat["theory_error"].values),
            **_fitted("slope", "trend", pinned, following, flat["next_order_error"].values),
        }
    ).assign_coords(power=list(free.powers))


def _weights(flat: xr.Dataset) -> np.ndarray:
    """Weights of the fits, pooled over the components of each quantity."""
    weights, quantity = np.empty_like(flat["stderr"].values), flat["component_quantity"].values
    for name in np.unique(quantity.astype(str)):
        own = quantity == name
        weights[:, own] = pooled_weights(flat["stderr"].values[:, own])
    return weights


def _fit(flat: xr.Dataset, values: np.ndarray, powers: tuple[int, ...], weights: np.ndarray) -> SeriesFit:
    widths, dof = flat["width"].values.astype(float), flat["degrees_of_freedom"].values
    return fit_series(values, flat["stderr"].values, widths, powers, dof, weights)


def _fitted(
    name: str, fit_name: str, fit: SeriesFit, expected: np.ndarray, theory_error: np.ndarray
) -> dict[str, tuple[str, np.ndarray]]:
    return {
        name: ("component", fit.coefficients[0]),
        f"{name}_stderr": ("component", fit.stderr[0]),
        f"z_{name}": ("component", fit.scores(fit.powers[0], expected, theory_error)),
        f"{fit_name}_chi2": ("component", fit.chi2),
        f"{fit_name}_p_value": ("component", fit.p_value),
    }


def _add_z_scores(flat: xr.Dataset) -> xr.Dataset:
    shift = flat["next_order"] / flat["width"]
    next_best = flat["theory"] + shift.where(flat["next_order_known"], 0.0)
    next_error = (flat["theory_error"] ** 2 + (flat["next_order_error"] / flat["width"]) ** 2) ** 0.5
    z = {
        "z_leading": _scores(flat, flat["experiment"] - flat["theory"], flat["theory_error"]),
        "z_next": _scores(flat, flat["experiment"] - next_best, next_error),
        "next_order_shift": shift / flat["stderr"],
    }
    return flat.assign({name: array.transpose("width", "component") for name, array in z.items()})


def _scores(flat: xr.Dataset, deviation: xr.DataArray, theory_error: xr.DataArray | float = 0.0) -> xr.DataArray:
    """Normal scores of deviations in units of the errors of experiment and theory together."""
    total = np.hypot(flat["stderr"], theory_error)
    dof = flat["degrees_of_freedom"] * (total / flat["stderr"]) ** 4
    t = (deviation / total).transpose("width", "component")
    return t.copy(data=normal_score(t.values, dof.transpose("width", "component").values))


def _add_summary(compared: xr.Dataset, quantities: tuple[Quantity, ...]) -> xr.Dataset:
    """Largest and rms z and the look-elsewhere-corrected p-value of every quantity, for each kind of z; and its symbol."""
    names = list(dict.fromkeys(compared["component_quantity"].values))
    scores = [str(name) for name in compared.data_vars if str(name).startswith("z_")]
    rows = [
        _summarize(compared.isel(component=compared["component_quantity"].values == name), scores) for name in names
    ]
    summary = xr.concat(rows, dim=xr.Variable("quantity", np.array(names, dtype=object)))
    symbols = {quantity.name: quantity.symbol for quantity in quantities}
    return compared.merge(summary).assign_coords(symbol=("quantity", [symbols[name] for name in names]))


def _summarize(of_one_quantity: xr.Dataset, scores: list[str]) -> xr.Dataset:
    components = of_one_quantity.sizes["component"]
    summary: dict[str, xr.DataArray] = {"components": xr.DataArray(components)}
    for name in scores:
        z = of_one_quantity[name]
        largest = abs(z).max("component")
        summary[f"{name}_max"] = largest
        summary[f"{name}_rms"] = (z**2).mean("component") ** 0.5
        summary[f"{name}_p_value"] = largest.copy(data=look_elsewhere(largest.values, components))
    return xr.Dataset(summary)
