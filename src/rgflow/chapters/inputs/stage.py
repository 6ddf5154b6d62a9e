"""Stage ``inputs``: which data the networks see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.data.select import select_inputs
from rgflow.data.source import Selection

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets, Resources, Spec


def run(_datasets: Datasets, spec: Spec, _resources: Resources) -> xr.Dataset:
    """Read, select and normalize; see :func:`rgflow.data.select.select_inputs`."""
    return select_inputs(Selection(**spec["inputs"]))
