"""What a stage does with the datasets it reads: take the only one, or join those of several cells, always by label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.study.stage import Datasets


def single(datasets: Datasets, role: str) -> xr.Dataset:
    """The only dataset of a role.

    Raises
    ------
    RgflowError
        If there is none or there are several.
    """
    if len(datasets[role]) != 1:
        raise RgflowError(f"--input {role} takes one manifest, got {len(datasets[role])}")
    return datasets[role][0].dataset


def along(datasets: Datasets, role: str, axis: str) -> xr.Dataset:
    """The datasets of a role as one, along the dimension ``axis``, in the order of their labels.

    Raises
    ------
    RgflowError
        If a dataset has no such label, or two have the same.
    """
    import xarray as xr

    ordered = _ordered(datasets, role, axis)
    return xr.concat([one.expand_dims({axis: [label]}) for label, one in ordered.items()], axis)


def each(datasets: Datasets, role: str, axis: str) -> list[xr.Dataset]:
    """The datasets of a role in the order of their labels of one axis."""
    return list(_ordered(datasets, role, axis).values())


def _ordered(datasets: Datasets, role: str, axis: str) -> dict[int | float | str, xr.Dataset]:
    found: dict[int | float | str, xr.Dataset] = {}
    for one in datasets[role]:
        if axis not in one.labels:
            raise RgflowError(f"--input {role}: no label {axis}~ in the path of one of its manifests")
        if one.labels[axis] in found:
            raise RgflowError(f"--input {role}: two manifests with {axis}~{one.labels[axis]}")
        found[one.labels[axis]] = one.dataset
    return {label: found[label] for label in sorted(found)}
