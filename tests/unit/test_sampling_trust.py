"""Errors that cannot be known, of means that rare networks carry: they are found, said, and not judged by."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import rgflow
from rgflow.comparison.compare import compare
from rgflow.comparison.exponents import depth_exponents
from rgflow.comparison.quantities import INITIALIZATION
from rgflow.errors import RgflowError
from rgflow.sampling.blocks import sample_block
from rgflow.sampling.groups import estimate_tensors
from rgflow.sampling.jackknife import jackknife, standard_errors
from rgflow.sampling.spec import SamplingSpec
from rgflow.theory.initialization.exact import exact_theory

ONE = np.ones((1, 1))
SEEDS = 12


def relu(width: int, hidden: int) -> rgflow.Network:
    return rgflow.Network("relu", (1, *(width,) * hidden, 1), 0.0, 2.0)


def sampled(width: int, hidden: int) -> xr.Dataset:
    return rgflow.sample_initialization(relu(width, hidden), ONE, members=20_000, seed=1, tensors=("K", "V"))


@pytest.fixture(scope="module")
def narrow() -> xr.Dataset:
    return sampled(8, 12)


def unknown(ensemble: xr.Dataset, name: str) -> list[int]:
    missing = ensemble[f"{name}_stderr"].isnull().squeeze(drop=True)
    return [int(layer) for layer in ensemble["layer"].values[missing.values]]


def test_deep_and_narrow_networks_leave_errors_unknown(narrow: xr.Dataset) -> None:
    assert unknown(narrow, "K") == []
    first = unknown(narrow, "V")[0]
    assert unknown(narrow, "V") == list(range(first, 14))
    (line,) = narrow.attrs["warnings"]
    assert line.startswith(
        "carried by networks too rare for this many members, so that errors are unknown: V in layer "
    )
    assert f" {first}-13; " in line
    assert np.isfinite(narrow["V"]).all()


def test_wide_networks_leave_none() -> None:
    wide = sampled(64, 12)
    assert wide.attrs["warnings"] == []
    assert np.isfinite(wide["V_stderr"]).all()


def test_errors_that_are_printed_hold_and_those_left_out_do_not() -> None:
    """V is known at every width: z of the ensembles, in the layers whose errors are given and in those where they are not."""
    network = relu(8, 12)
    exact = exact_theory(network, ONE)["V"].values.ravel()[1:]
    kept, left_out = [], []
    for seed in range(SEEDS):
        groups = sample_block(network, ONE, range(20), SamplingSpec(seed, ("K", "V")))
        estimate = estimate_tensors(groups)
        means = {str(name): groups[name].values for name in groups}
        below = [1, *[8] * 12]
        errors = standard_errors(jackknife(means, below, 1000)["V"]).ravel()[1:]
        z = (estimate["V"].values.ravel()[1:] - exact) / errors
        sure = np.isfinite(estimate["V_stderr"].values.ravel()[1:])
        kept.append(z[sure])
        left_out.append(z[~sure])
    rms = [np.sqrt(np.mean(np.concatenate(part) ** 2)) for part in (kept, left_out)]
    assert 0.7 < rms[0] < 1.4
    assert rms[1] > 2.0


def comparable(ensembles: dict[int, xr.Dataset]) -> tuple[xr.Dataset, xr.Dataset]:
    theory = rgflow.initialization_theory(relu(8, 12), ONE, tensors=("K", "V"))
    joined = xr.concat(ensembles.values(), xr.Variable("width", list(ensembles)), combine_attrs="drop")
    return theory.sel(layer=joined["layer"]), joined


def test_what_has_no_error_is_not_compared(narrow: xr.Dataset) -> None:
    theory, ensembles = comparable({8: narrow, 64: sampled(64, 12)})
    compared = compare(theory, ensembles, INITIALIZATION)
    layers = compared["layer"].where(compared["component_quantity"] == "V", drop=True)
    assert int(layers.max()) == unknown(narrow, "V")[0] - 1
    assert np.isfinite(compared["z_leading"]).all()


def test_nothing_known_is_one_line(narrow: xr.Dataset) -> None:
    theory, ensembles = comparable({8: narrow})
    deep = {"layer": slice(10, None)}
    with pytest.raises(RgflowError, match=r"^the error of no component is known at all widths: take wider networks"):
        compare(theory[["V"]].isel(deep), ensembles[["V", "V_stderr"]].isel(deep), INITIALIZATION)


def test_exponents_are_fitted_where_errors_are_known(narrow: xr.Dataset) -> None:
    theory, ensembles = comparable({8: narrow, 64: sampled(64, 12)})
    ratio = depth_exponents(theory, ensembles).sel(ratio="V/K^2")
    assert np.isfinite(ratio["depth_exponent_stderr"]).all()
    late = depth_exponents(theory, ensembles, first_layer=12).sel(ratio="V/K^2", width=8)
    assert np.isnan(late["depth_exponent"])
