"""All variables of the library's own results."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, ParamSpec

from rgflow.store.variables import OUTPUT_KERNELS, Registry
from rgflow.variables import comparison, criticality, initialization, networks, posterior, practice, training

if TYPE_CHECKING:
    import xarray as xr

P = ParamSpec("P")


@cache
def library() -> Registry:
    """The registry of the library's own results."""
    rooms = (networks, criticality, initialization, training, posterior, practice, comparison)
    return Registry({"kernels": OUTPUT_KERNELS, **{room.__name__: room.VARIABLES for room in rooms}})


def document(dataset: xr.Dataset) -> xr.Dataset:
    """Return ``dataset`` with the long name and the equation of every variable."""
    return library().document(dataset)


def documenting(function: Callable[P, xr.Dataset]) -> Callable[P, xr.Dataset]:
    """The function as it is public, ``rgflow.<name>``: every variable of its result has its long name and equation.

    Stages call the function itself, and the runner documents what they store: a better description reruns nothing.
    """

    @wraps(function)
    def documented(*args: P.args, **kwargs: P.kwargs) -> xr.Dataset:
        return document(function(*args, **kwargs))

    documented.__module__ = "rgflow"  # where pickle finds it
    return documented
