"""All variables of the library's own results."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from rgflow.store.variables import OUTPUT_KERNELS, Registry
from rgflow.variables import comparison, criticality, initialization, networks, posterior, practice, training

if TYPE_CHECKING:
    import xarray as xr


@cache
def library() -> Registry:
    """The registry of the library's own results."""
    rooms = (networks, criticality, initialization, training, posterior, practice, comparison)
    return Registry({"kernels": OUTPUT_KERNELS, **{room.__name__: room.VARIABLES for room in rooms}})


def document(dataset: xr.Dataset) -> xr.Dataset:
    """Return ``dataset`` with the long name and the equation of every variable."""
    return library().document(dataset)
