"""Where the tensors of the output layer come from: computed, or given and checked."""

from __future__ import annotations

import numpy as np
import xarray as xr

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization.contraction import Array
from rgflow.theory.initialization.dntk import dntk_theory
from rgflow.theory.initialization.tensors import initialization_theory
from rgflow.theory.learning.statistics import TENSORS, OutputTensors


def output_tensors(network: Network, inputs: Array, Theta: Array, tensors: xr.Dataset | None) -> list[OutputTensors]:
    """Tensors of the last layer, computed unless they are given.

    Parameters
    ----------
    network, inputs
        The network and its inputs, (sample, feature).
    Theta
        NTK of the outputs, which given tensors must share.
    tensors
        Dataset with all of ``TENSORS``, on ``layer`` or of the last layer alone.

    Raises
    ------
    RgflowError
        A tensor is missing, or the tensors are those of other inputs or another network.
    """
    if tensors is None:
        tensors = _computed(network, inputs)
    last = tensors.isel(layer=-1) if "layer" in tensors.dims else tensors
    if missing := [name for name in TENSORS if name not in last]:
        raise RgflowError(f"tensors lack {', '.join(missing)}; training at order 1/n needs {', '.join(TENSORS)}")
    found = OutputTensors.of(last)
    if found.Theta.shape != Theta.shape or not np.allclose(found.Theta, Theta, rtol=1e-6, atol=1e-9 * Theta.max()):
        raise RgflowError("tensors are not those of this network on these inputs, train then test: Theta differs")
    return [found]


def _computed(network: Network, inputs: Array) -> xr.Dataset:
    at_start = initialization_theory(network, inputs, ("K", "G1", "Theta", "Theta1", "D", "F", "A", "B"))
    return xr.merge([at_start, dntk_theory(network, inputs)], join="exact")
