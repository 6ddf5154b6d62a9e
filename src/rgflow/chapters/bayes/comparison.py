"""Stage ``comparison/bayes``: z-scores and 1/n trends of the posterior, all widths together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rgflow.comparison.compare import compare
from rgflow.comparison.quantities import BAYES
from rgflow.study.gather import single

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec

_SUFFIXES = ("", "1", "_stderr", "_error", "1_error")


def run(datasets: Datasets, _spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.comparison.compare.compare`.

    Weights of networks vary by c/n with c the ``log_weight_variance``: below n = c the data change networks by more than a
    series in 1/n can say, and extrapolations start there.
    """
    theory = single(datasets, "theory")
    expands_from = float(theory["log_weight_variance"])
    sides = _comparable(_resolved(theory)), _comparable(single(datasets, "experiment"))
    return compare(*sides, BAYES, expands_from)


def _resolved(theory: xr.Dataset) -> xr.Dataset:
    """Theory with the quantities of the ensembles: covariances between outputs, and what the hidden layer learns."""
    import xarray as xr

    outputs = theory["output"].values
    same = xr.DataArray(np.eye(len(outputs)), {"output_1": outputs, "output_2": outputs}, ("output_1", "output_2"))
    change = {f"hidden_kernel_change1{suffix}": theory[f"hidden_kernel1_learned{suffix}"] for suffix in ("", "_error")}
    coupled = {name: same * theory[name] for name in ("posterior_covariance", "posterior_covariance_error")}
    return theory.assign({**coupled, **change, "hidden_kernel_change": xr.zeros_like(theory["hidden_kernel"])})


def _comparable(side: xr.Dataset) -> xr.Dataset:
    """Outputs on test samples, kernels of the hidden layer on all samples, the evidence of all train samples together.

    On train samples outputs are pinned by the targets and say little. Kernels have legs of their own names, so that they keep
    all samples.
    """
    import xarray as xr

    test = side["role"].values == "test"
    legs = dict.fromkeys(("sample", "sample_1", "sample_2"), np.arange(test.size))
    labelled = side.drop_vars("role").assign_coords(legs)
    outputs = _named(labelled, "posterior_mean", "posterior_covariance").isel(dict.fromkeys(legs, np.flatnonzero(test)))
    kernels = _named(labelled, "hidden_kernel", "hidden_kernel_change")
    kernels = kernels.rename({leg: f"kernel_{leg}" for leg in ("sample_1", "sample_2")})
    evidence = _named(labelled, "log_evidence").expand_dims(samples=[int((~test).sum())], axis=-1)
    return xr.merge([outputs, kernels, evidence, _named(side, "degrees_of_freedom")], join="exact", compat="equals")


def _named(side: xr.Dataset, *quantities: str) -> xr.Dataset:
    """Estimates, coefficients and errors of quantities."""
    return side[[name for q in quantities for suffix in _SUFFIXES if (name := f"{q}{suffix}") in side]]
