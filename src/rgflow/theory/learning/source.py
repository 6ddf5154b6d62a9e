"""Where the tensors of the output layer come from: computed, or given and checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.finite_width import tensor_randomizations
from rgflow.theory.learning.statistics import TENSORS

Tensors = xr.Dataset | Iterable[xr.Dataset]


def output_tensors(
    network: Network, inputs: Array, Theta: Array, tensors: Tensors | None = None
) -> Iterator[xr.Dataset]:
    """Tensors of the last layer, computed unless they are given, one set of randomized nodes after the other.

    Parameters
    ----------
    network, inputs
        The network and its inputs, (sample, feature).
    Theta
        NTK of the outputs, which given tensors must share.
    tensors
        Dataset with all of ``TENSORS``, on ``layer`` or of the last layer alone, or several that are independent estimates.

    Raises
    ------
    RgflowError
        A tensor is missing, or the tensors are those of other inputs or another network.
    """
    if tensors is None:
        tensors = tensor_randomizations(network, inputs, TENSORS)
    for dataset in [tensors] if isinstance(tensors, xr.Dataset) else tensors:
        last = dataset.isel(layer=-1) if "layer" in dataset.dims else dataset
        _check(last, Theta)
        yield last


def _check(last: xr.Dataset, Theta: Array) -> None:
    if missing := [name for name in (*TENSORS, "quadrature_error") if name not in last]:
        raise RgflowError(f"tensors lack {', '.join(missing)}; training at order 1/n needs {', '.join(TENSORS)}")
    found = last["Theta"].values
    if found.shape != Theta.shape or not np.allclose(found, Theta, rtol=1e-6, atol=1e-9 * Theta.max()):
        raise RgflowError("tensors are not those of this network on these inputs, train then test: Theta differs")
