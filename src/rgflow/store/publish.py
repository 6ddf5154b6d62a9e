"""Atomic publication of a dataset as a Zarr v3 store with its manifest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.errors import RgflowError, TransientError
from rgflow.store.digest import canonical_json, digest_variables
from rgflow.store.manifest import manifest_of, write_manifest
from rgflow.store.scratch import ScratchArrays
from rgflow.store.temporary import remove_leftovers, replace_directory, temporary_sibling
from rgflow.store.variables import Registry

if TYPE_CHECKING:
    import xarray as xr

PROVENANCE = "rgflow"

Certify = Callable[["xr.Dataset", ScratchArrays], Mapping[str, Any]]
"""(what was written, room for intermediate arrays in files) -> attributes of the result that only the whole of it tells."""


def publish(
    dataset: xr.Dataset, store: Path, provenance: Mapping[str, Any], registry: Registry, certify: Certify | None = None
) -> str:
    """Validate ``dataset``, write it under a temporary name, read it back, and rename it to ``store``; then its manifest.

    A dataset of dask arrays is evaluated chunk by chunk as it is written, and never in memory as a whole: its digest is that
    of what reads back, each chunk with a checksum.

    Whatever happens, ``store`` is either absent, the previous result, or complete: a kill, a full disk or an exception
    leaves at most a temporary sibling (``.x.zarr.*.tmp``), which the next publication removes. The manifest is flushed to disk,
    the many files of arrays are not, which would take longer than to write them: after a loss of power, ``rgflow check`` finds
    what did not arrive.

    Parameters
    ----------
    dataset : xr.Dataset
        Every variable registered.
    store : Path
        Final name, ``*.zarr``.
    provenance : mapping
        JSON-able facts kept in the store's attributes; they do not enter the digest.
    registry : Registry
        What may be stored.
    certify : callable, optional
        Looks at what was written before it gets its final name: raises if it is unusable, returns further attributes.

    Returns
    -------
    str
        The content digest.

    Raises
    ------
    RgflowError
        If a variable is not registered, or what was written does not read back equal.
    """
    registry.validate(dataset, str(store))
    for final in (store, manifest_of(store)):
        remove_leftovers(final)
    with temporary_sibling(store) as temporary, temporary_sibling(store) as scratch:
        write_zarr(registry.document(dataset), temporary, provenance)
        with open_zarr(temporary) as written:
            attributes = certify(written, ScratchArrays(scratch)) if certify else {}
            variables = digest_variables(written)
        attributes = {**dataset.attrs, **attributes}
        if not dataset.chunks and digest_variables(dataset) != variables:
            raise TransientError(f"{store}: what was written does not read back equal; disk or memory fault?")
        _add_attributes(temporary, attributes)
        replace_directory(temporary, store)
    return write_manifest(manifest_of(store), variables, attributes)


def write_zarr(dataset: xr.Dataset, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write a Zarr v3 store with consolidated metadata.

    An array is one chunk up to 64 MiB. Dask arrays keep their chunks and are many noisy numbers: a fast codec serves best.
    """
    attributed = _with_portable_strings(dataset).assign_attrs({PROVENANCE: canonical_json(dict(provenance))})
    for variable in attributed.variables.values():
        variable.encoding = {"compressors": _fast_codecs()} if variable.chunks else {}
    with _consolidated():
        attributed.to_zarr(path, zarr_format=3, consolidated=True, mode="w-")


def _fast_codecs() -> tuple[Any, ...]:
    from zarr.codecs import BloscCodec, Crc32cCodec

    return BloscCodec(cname="lz4", shuffle="shuffle"), Crc32cCodec()


def _add_attributes(path: Path, attributes: Mapping[str, Any]) -> None:
    """Add attributes to a store that is written already."""
    import zarr

    if attributes:
        with _consolidated():
            zarr.open_group(path, mode="r+", use_consolidated=False).update_attributes(dict(attributes))
            zarr.consolidate_metadata(path, zarr_format=3)


@contextmanager
def _consolidated() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        yield


def open_zarr(path: Path, chunks: Any = None) -> xr.Dataset:
    """Open a published store (eagerly indexed numpy arrays by default, dask arrays with ``chunks={}``)."""
    import xarray as xr

    if not (path / "zarr.json").is_file():
        raise RgflowError(f"{path}: no such store")
    dataset: xr.Dataset = xr.open_zarr(path, consolidated=True, zarr_format=3, chunks=chunks)
    return dataset


def stage_attributes(dataset: xr.Dataset) -> dict[str, Any]:
    """The attributes that belong to a result: those of its stage, not those of its making."""
    return {str(key): value for key, value in dataset.attrs.items() if key != PROVENANCE}


def without_provenance(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset as its stage made it; attributes of the stage stay."""
    return dataset.drop_attrs(deep=False).assign_attrs(stage_attributes(dataset))


def _with_portable_strings(dataset: xr.Dataset) -> xr.Dataset:
    """Text as numpy's variable-length strings, the one kind of text that the Zarr v3 specification knows."""
    text = {
        name: array.astype(np.dtypes.StringDType())
        for name, array in dataset.variables.items()
        if array.dtype.kind in "OU"
    }
    return dataset.assign({name: array for name, array in text.items() if name in dataset.data_vars}).assign_coords(
        {name: array for name, array in text.items() if name in dataset.coords}
    )
