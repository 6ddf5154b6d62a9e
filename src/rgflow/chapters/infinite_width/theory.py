"""Stage ``theory/infinite_width``: K and Theta of the last layer for all inputs, however many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.chapters.networks.build import network_of
from rgflow.study.gather import single
from rgflow.theory.infinite_width.kernels import certificate, lazy_infinite_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Scratch, Spec


def run(datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """See :func:`rgflow.theory.infinite_width.kernels.lazy_infinite_width`: the matrices are evaluated as they are written."""
    network = network_of(spec, datasets, outputs=1)
    lazy = lazy_infinite_width(network, single(datasets, "inputs")["x"].values, spec["infinite_width"]["precision"])
    return lazy.rename(K="K_output", Theta="Theta_output")


def certify(written: xr.Dataset, scratch: Scratch) -> Mapping[str, int | str]:
    """See :func:`rgflow.theory.infinite_width.kernels.certificate`."""
    return certificate(written, scratch)
