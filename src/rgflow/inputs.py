"""The inputs of a network, checked, and their inner products: all that the theory needs to know of the data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from rgflow.arrays import real_array
from rgflow.errors import RgflowError
from rgflow.network import Network

Inputs = npt.ArrayLike | xr.DataArray
Array = npt.NDArray[np.float64]


def checked_inputs(network: Network, inputs: Inputs) -> Array:
    """A float64 copy of the inputs, (N, n_0).

    Parameters
    ----------
    network
        The network; n_0 must be the number of features.
    inputs
        (sample, feature) numbers. Named dimensions of a DataArray may come in any order.

    Raises
    ------
    RgflowError
        The shape is not (N, n_0) with N >= 1, or a value is not a finite number.
    """
    x = real_array("inputs", inputs, ("sample", "feature"))
    if x.ndim != 2 or x.shape[0] == 0 or x.shape[1] != network.widths[0]:
        raise RgflowError(f"inputs have shape {x.shape}; (sample, feature) with {network.widths[0]} features is needed")
    if not np.isfinite(x).all():
        sample, feature = np.argwhere(~np.isfinite(x))[0]
        raise RgflowError(f"inputs[{sample}, {feature}] = {x[sample, feature]}; inputs must be finite")
    return x


def input_gram(network: Network, inputs: Inputs) -> Array:
    """Inner products x_1 . x_2 / n_0 of checked inputs, (N, N)."""
    x = checked_inputs(network, inputs)
    return np.asarray(x @ x.T / x.shape[1])
