"""Arrays that users hand over, as float64 numbers: nothing of them is dropped or reinterpreted in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from rgflow.errors import RgflowError

Array = npt.NDArray[np.float64]

_KINDS = {"c": "complex numbers", "U": "strings", "S": "strings", "T": "strings", "M": "dates", "m": "times"}


def real_array(name: str, value: npt.ArrayLike | xr.DataArray, dims: tuple[str, ...] = ()) -> Array:
    """A float64 copy of an array of real numbers.

    Parameters
    ----------
    name
        What the array is called in messages.
    value
        Anything that numpy takes for an array of integers, booleans or floats.
    dims
        Order of the dimensions wanted of a DataArray that has just these, in whatever order.

    Raises
    ------
    RgflowError
        Complex numbers, strings, objects, masked entries.
    """
    if isinstance(value, xr.DataArray) and set(value.dims) == set(dims):
        value = value.transpose(*dims)
    array = _as_numpy(name, value)
    if isinstance(value, np.ma.MaskedArray) and (masked := int(np.ma.getmaskarray(value).sum())):
        raise RgflowError(f"{name}: {masked} entries are masked; leave out or fill them")
    if array.dtype.kind not in "biuf":
        raise RgflowError(f"{name}: {_KINDS.get(array.dtype.kind, 'objects')} where real numbers are needed")
    return array.astype(np.float64)


def require_shape(name: str, array: npt.NDArray[Any], tail: tuple[int, ...]) -> None:
    """Raise one line unless the last dimensions of an array have these sizes."""
    if array.shape[max(array.ndim - len(tail), 0) :] != tail:
        sizes = ", ".join(map(str, tail))
        raise RgflowError(f"{name} has shape {array.shape}; (..., {sizes}) is needed")


def _as_numpy(name: str, value: Any) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # ragged lists, tensors that require a gradient
        raise RgflowError(f"{name}: not an array of numbers") from None
