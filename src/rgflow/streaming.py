"""Results that need not fit in memory, written to a store of the user's as they are calculated."""

from __future__ import annotations

from pathlib import Path

import dask
import xarray as xr

from rgflow.calls import checked
from rgflow.compute.tasks import check_workers
from rgflow.errors import RgflowError
from rgflow.inputs import Inputs
from rgflow.network import Network
from rgflow.store.manifest import local_path
from rgflow.store.provenance import provenance
from rgflow.store.publish import open_zarr, publish
from rgflow.store.variables import OUTPUT_KERNELS, Registry
from rgflow.theory.infinite_width.kernels import Precision, certificate, lazy_infinite_width


@checked
def stream_infinite_width(
    network: Network, inputs: Inputs, path: str | Path, precision: Precision = "float64", workers: int = 1
) -> xr.Dataset:
    """Infinite-width K and Theta of the last layer, written tile by tile to a Zarr store (PDLT, chapters 4, 8 and 10).

    In memory are a few tiles per worker (of 768 x 768 pairs), one row of tiles, and O(N) numbers per layer. The check of
    positivity keeps N^2/2 numbers in a temporary folder beside the store and takes N^3/3 multiplications per matrix.

    Parameters
    ----------
    network, inputs, precision, workers
        See :func:`rgflow.theory.infinite_width.kernels.infinite_width_theory`.
    path
        The store, ``*.zarr``; its manifest ``*.json`` is put beside it. A store that is there is replaced when the new one
        is complete.

    Returns
    -------
    The dataset of the store, as dask arrays, with ``K_output`` and ``Theta_output`` on ``sample_1``, ``sample_2``, and the
    attributes of :func:`rgflow.theory.infinite_width.kernels.infinite_width_theory`.

    Raises
    ------
    RgflowError
        Those of :func:`rgflow.theory.infinite_width.kernels.infinite_width_theory`; then nothing is left at ``path``.
    """
    store = local_path(path)
    if store.suffix != ".zarr":
        raise RgflowError(f"path = {str(path)!r}; the name of a store ends with .zarr")
    check_workers(workers)
    lazy = lazy_infinite_width(network, inputs, precision).rename(K="K_output", Theta="Theta_output")
    with dask.config.set(scheduler="threads", num_workers=workers):
        publish(lazy, store, provenance(), Registry({"kernels": OUTPUT_KERNELS}), certificate)
    return open_zarr(store, chunks={})
