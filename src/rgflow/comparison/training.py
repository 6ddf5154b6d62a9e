"""Trained ensembles against theory of training: plain estimates, and what control variates make of the deviation times n.

A quantity q is predicted as q + q1/n. An estimate ``<q>_excess`` of n (E[q] - q) enters as q + excess/n with its own error,
so that leading and next order are scored at each width, and extrapolated, as those of a plain estimate are. Narrow networks
late in training are far from their linearization, and its subtraction adds more noise than it takes: there the plain
estimate stands in, component by component, where both are of the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from rgflow.comparison.compare import compare
from rgflow.comparison.quantities import Quantity

_PAIR, _NTK = ("sample_1", "sample_2"), ("ntk_sample_1", "ntk_sample_2")
_COMPONENTS = ("output_1", "output_2")
_EXCESS = "_excess"
ValueAndError = tuple[xr.DataArray, xr.DataArray]
_SYMBOLS = {
    "prediction_mean": r"\mathrm{E}\,z",
    "prediction_covariance": r"\mathrm{Cov}\,z",
    "NTK": r"\hat{H}",
    **{
        f"{role}_{part}": rf"\mathcal{{{letter}}}_\mathrm{{{role}}}"
        for role in ("train", "test")
        for part, letter in {"loss": "L", "bias": "B", "variance": "V"}.items()
    },
}


def _quantities() -> Iterator[Quantity]:
    """Plain estimates, and excesses, which are between components of the output where covariance and NTK are."""
    swap = {"prediction_covariance": ((1, 0),), "NTK": ((1, 0),)}
    dims = {"prediction_mean": ("step", "sample", "output"), "prediction_covariance": ("step", *_PAIR)}
    dims["NTK"] = ("ntk_step", *_NTK)
    for name, symbol in _SYMBOLS.items():
        own = dims.get(name, ("step",))
        yield Quantity(name, name, own, swap.get(name, ()), f"{name}1", symbol)
        excess = f"{name}{_EXCESS}"
        between = (own[0], *_COMPONENTS, *own[1:]) if name in swap else own
        both = ((1, 0, 3, 2),) if name in swap else ()
        yield Quantity(excess, excess, between, both, f"{excess}1", rf"n\,\Delta{symbol}")


TRAINING = tuple(_quantities())
"""Observables of training; the next order of theory is that of gradient descent on all samples in smooth networks."""


def compare_training(theory: xr.Dataset, trained: xr.Dataset) -> xr.Dataset:
    """Compare test predictions (mean, covariance), losses with bias and variance, and the NTK at every recorded step.

    Predictions on train samples are left out: both sides converge to the targets, what is left is exponentially small.

    Parameters
    ----------
    theory : xr.Dataset
        Of :func:`rgflow.training_theory` at the recorded steps of the ensembles and maybe more: the mean, covariance and
        losses, the NTK as ``Theta_output`` that stays frozen at infinite width, and their next orders, if known, with errors.
    trained : xr.Dataset
        Of :func:`rgflow.train_ensemble` with a dim ``width``; excesses if control variates gave them, which give way to plain
        estimates of lower error.

    Returns
    -------
    xr.Dataset
        As described at the top of :mod:`rgflow.comparison.compare`; excesses only where theory has order 1/n, without which
        they say what the plain estimates say.

    Raises
    ------
    RgflowError
        As in :func:`rgflow.comparison.compare.compare`.
    """
    test = np.flatnonzero(theory["role"].values == "test")
    expected, estimates = _select_samples(_with_ntk(theory, trained), test), _select_samples(trained, test)
    expected = xr.merge([_of_one_output(expected), _between_outputs(expected)])
    known = [quantity for quantity in TRAINING if quantity.next_order in expected or not _is_excess(quantity.name)]
    return compare(expected, _from_excesses(expected, estimates), tuple(known))


def _with_ntk(theory: xr.Dataset, trained: xr.Dataset) -> xr.Dataset:
    """Theory at the recorded steps, with ``NTK``, the same at every step, and its next order where that was recorded."""
    following = [name for name in ("NTK1", "NTK1_error") if name in theory]
    expected = theory.drop_vars(following).sel(step=trained["step"])
    if "NTK" not in trained:
        return expected
    legs = {f"sample_{leg}": trained[f"ntk_sample_{leg}"] for leg in (1, 2)}
    at_steps = theory[following].sel(step=trained["ntk_step"]) if following else xr.Dataset()
    ntk = at_steps.assign(NTK=theory["Theta_output"].expand_dims(ntk_step=trained["ntk_step"])).isel(legs)
    return expected.assign(ntk.drop_vars(["step", *legs], errors="ignore").data_vars)


def _select_samples(dataset: xr.Dataset, positions: np.ndarray) -> xr.Dataset:
    """Keep some samples, labelled by their position among all."""
    dims = [dim for dim in ("sample", *_PAIR) if dim in dataset.dims]
    return dataset.isel(dict.fromkeys(dims, positions)).assign_coords(dict.fromkeys(dims, positions))


def _of_one_output(expected: xr.Dataset) -> xr.Dataset:
    """What plain estimates are of: means over the components of covariance and NTK; errors add up, as they may."""
    outputs = range(expected.sizes.get("output_1", 0))
    own = xr.DataArray(list(outputs), dims="own")
    pairs = [name for name, array in expected.items() if "output_1" in array.dims]
    means = {name: expected[name].isel(output_1=own, output_2=own).mean("own") for name in pairs}
    return expected.drop_vars([*pairs, *_COMPONENTS], errors="ignore").assign(means)


def _between_outputs(expected: xr.Dataset) -> xr.Dataset:
    """What excesses are of: the leading order on equal components, and the whole next order."""
    found = {}
    one = xr.DataArray(np.eye(expected.sizes["output"]), dims=_COMPONENTS)
    for name in (str(name) for name in _SYMBOLS if name in expected):
        found[f"{name}{_EXCESS}"] = expected[name] * one if name in ("prediction_covariance", "NTK") else expected[name]
        for suffix in ("1", "1_error"):
            if f"{name}{suffix}" in expected:
                found[f"{name}{_EXCESS}{suffix}"] = expected[f"{name}{suffix}"]
    return xr.Dataset(found)


def _from_excesses(expected: xr.Dataset, trained: xr.Dataset) -> xr.Dataset:
    """The ensembles with q + excess/n for every excess, or with q's plain estimate where that has the lower error."""
    found: dict[str, xr.DataArray] = {}
    for name in (str(name) for name in trained if _is_excess(str(name))):
        shift, stderr = (trained[f"{name}{suffix}"] / trained["width"] for suffix in ("", "_stderr"))
        plain = name.removesuffix(_EXCESS)
        best = expected[name] + shift, stderr
        if all(
            shift.sizes.get(dim, 1) == 1 for dim in _COMPONENTS
        ):  # else plain is a mean over components of the output
            best = sharper(best, (trained[plain], trained[f"{plain}_stderr"]))
        found |= {name: best[0], f"{name}_stderr": best[1]}
    return trained.assign(found)


def sharper(one: ValueAndError, other: ValueAndError) -> ValueAndError:
    """Of two estimates of the same, each a value and its error, the one of lower error, element by element."""
    better = one[1] <= other[1]
    return one[0].where(better, other[0]), one[1].where(better, other[1])


def _is_excess(name: str) -> bool:
    return name.endswith(_EXCESS)
