"""Opening results for analysis: all stores of a study as one lazy DataTree, sweeps combined by label."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rgflow.calls import checked
from rgflow.errors import RgflowError
from rgflow.store.index import indexed_below, walk_stores
from rgflow.store.labels import Label, parse_path
from rgflow.store.manifest import local_path, manifest_of
from rgflow.store.memo import remembered
from rgflow.store.publish import open_zarr, without_provenance

if TYPE_CHECKING:
    import xarray as xr

_log = logging.getLogger(__name__)
Cell = tuple[dict[str, Label], "xr.Dataset"]


@checked
def open_results(path: str | Path) -> xr.DataTree:
    """Open the results of a study lazily.

    Parameters
    ----------
    path : path
        ``results/<study>``, or any folder or single ``.zarr`` store below it.

    Returns
    -------
    xr.DataTree
        One node per stage (``inputs``, ``theory/initialization``, ``ensemble``, ...). The cells of a sweep are combined along
        dimensions named by their labels (``activation``, ``init``, ``depth``, ``width``); cells that are not there, layers
        that a shallower network and samples that a smaller task does not have, are NaN. Blocks of unfinished ensembles are
        left out, and so is what an earlier configuration of the study left behind. A result that is being made anew, or
        whose job failed, is shown as it was before, with a warning in the log.

    Raises
    ------
    RgflowError
        If the folder holds no published store, or is the address of an object store.
    """
    import xarray as xr

    root = local_path(path)
    stages: dict[str, list[Cell]] = defaultdict(list)
    for store in published_stores(root):
        stage, labels = parse_path(store.relative_to(root) if store != root else Path(store.name))
        if "block" not in labels:
            stages[stage].append((labels, open_zarr(present(store), chunks={})))
    if not stages:
        raise RgflowError(f"{root}: no published results there; run the workflow first, or check the path")
    return xr.DataTree.from_dict({f"/{stage}": combine_cells(cells) for stage, cells in stages.items()})


def published_stores(root: Path) -> Iterator[Path]:
    """Yield the stores at or below ``root`` that belong to the study as it is now, sorted by path.

    Those are the stores of its index that have a manifest or had one before; without an index, all that have a manifest.
    """
    belonging = indexed_below(root)
    if belonging is not None:
        yield from (store for store in sorted(belonging) if manifest_of(store).is_file() or remembered(store))
    elif root.suffix == ".zarr":
        yield from [root] if manifest_of(root).is_file() else []
    else:
        yield from (store for store in sorted(walk_stores(root)) if manifest_of(store).is_file())


def present(store: Path) -> Path:
    """Where a store can be read: under its name, or, while it is missing, the last result that is remembered of it."""
    before = None if store.is_dir() else remembered(store)
    if before is None:
        return store
    _log.warning("%s: not there (being made anew, or its job failed); showing the result before", store)
    return before


def combine_cells(cells: list[Cell]) -> xr.Dataset:
    """Combine datasets along their labels; labels that all cells share become dimensions of length one."""
    dims = list(cells[0][0])
    spread = [(labels, _labelled(dataset, labels)) for labels, dataset in cells]
    unequal = _unequal(dataset for _, dataset in spread)
    padded = _with_coordinates_of_all([_ready_to_pad(dataset, unequal) for _, dataset in spread])
    return _combine_along(dims, [(labels, dataset) for (labels, _), dataset in zip(spread, padded, strict=True)])


def _with_coordinates_of_all(datasets: list[xr.Dataset]) -> list[xr.Dataset]:
    """The datasets with the coordinates that only others have: those of their other dimensions, and NaN along shared ones."""
    found: dict[Hashable, xr.Variable] = {}
    for dataset in datasets:
        found |= {name: one.variable for name, one in dataset.coords.items() if name not in found and one.dims}
    return [
        dataset.assign_coords(
            {
                name: _along(dataset, one)
                for name, one in found.items()
                if name not in {*dataset.variables, *dataset.dims}
            }
        )
        for dataset in datasets
    ]


def _along(dataset: xr.Dataset, coordinate: xr.Variable) -> xr.Variable:
    """The coordinate of another dataset for this one: NaN along the dimensions that both have."""
    import xarray as xr

    if not {*coordinate.dims} <= {*dataset.dims}:
        return coordinate
    kind = float if coordinate.dtype.kind in "iuf" else object
    return xr.Variable(coordinate.dims, np.full([dataset.sizes[dim] for dim in coordinate.dims], np.nan, kind))


def _unequal(datasets: Iterable[xr.Dataset]) -> set[str]:
    """Dimensions whose sizes differ, as the samples of tasks of different sizes."""
    sizes: dict[str, set[int]] = defaultdict(set)
    for dataset in datasets:
        for dim, size in dataset.sizes.items():
            sizes[str(dim)].add(size)
    return {dim for dim, found in sizes.items() if len(found) > 1}


def _ready_to_pad(dataset: xr.Dataset, dims: set[str]) -> xr.Dataset:
    """The dataset with positions as labels of these dimensions where they have none, and texts along them that may be NaN."""
    bare = [dim for dim in dims & {str(dim) for dim in dataset.dims} if dim not in dataset.indexes]
    texts = {
        name: one.astype(object) for name, one in dataset.coords.items() if one.dtype.kind == "T" and dims & {*one.dims}
    }
    return dataset.assign_coords({**texts, **{dim: range(dataset.sizes[dim]) for dim in bare}})


def _labelled(dataset: xr.Dataset, labels: Mapping[str, Label]) -> xr.Dataset:
    """The dataset with its labels as dimensions of length one, coordinates in memory: they are small and often compared."""
    plain = without_provenance(dataset)
    return plain.assign_coords(plain.coords.to_dataset().load().coords).expand_dims({k: [v] for k, v in labels.items()})


def _combine_along(dims: list[str], cells: list[Cell]) -> xr.Dataset:
    import xarray as xr

    if len(cells) == 1:
        return cells[0][1]
    groups = defaultdict(list)
    for labels, dataset in cells:
        groups[labels[dims[0]]].append((labels, dataset))
    slices = [_combine_along(dims[1:], groups[value]) for value in sorted(groups)]
    if len(slices) == 1:
        return slices[0]
    return xr.concat(
        slices,
        dims[0],
        join="outer",
        data_vars="all",
        coords="different",
        compat="equals",
        combine_attrs="drop_conflicts",
    )
