"""What figures of training share: theory at one width, and what ensembles have beyond infinite width."""

from __future__ import annotations

import xarray as xr

from rgflow.comparison.training import ValueAndError, sharper


def has_next_order(theory: xr.Dataset) -> bool:
    """Whether theory knows order 1/n."""
    return "prediction_mean1" in theory


def next_order_of(theory: xr.Dataset, name: str) -> ValueAndError:
    """The coefficient of 1/n and its error; of a covariance or NTK that of the first output."""
    coefficient = _first_output(theory[f"{name}1"])
    error = f"{name}1_error"
    return coefficient, _first_output(theory[error]) if error in theory else xr.zeros_like(coefficient)


def to_next_order(theory: xr.Dataset, name: str, width: int) -> xr.DataArray:
    """q + q1/n where q1 is known, else q."""
    return theory[name] + next_order_of(theory, name)[0] / width if f"{name}1" in theory else theory[name]


def deviation(theory: xr.Dataset, trained: xr.Dataset, name: str, width: int) -> ValueAndError:
    """What the ensemble of one width has beyond infinite width, and its error, from control variates where they lower it."""
    of_width = trained.sel(width=width)
    plain = of_width[name] - theory[name].sel(step=of_width["step"]), of_width[f"{name}_stderr"]
    if f"{name}_excess" not in trained or not has_next_order(theory):
        return plain
    value, error = (_first_output(of_width[f"{name}_excess{suffix}"]) / width for suffix in ("", "_stderr"))
    return sharper((value, error), plain)


def _first_output(array: xr.DataArray) -> xr.DataArray:
    return array.isel({dim: 0 for dim in ("output_1", "output_2") if dim in array.dims})
