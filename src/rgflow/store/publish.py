"""Atomic publication of a dataset as a Zarr v3 store with its manifest."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.errors import RgflowError
from rgflow.store.digest import canonical_json, digest, digest_variables
from rgflow.store.manifest import manifest_of, write_manifest
from rgflow.store.variables import document, validate

if TYPE_CHECKING:
    import xarray as xr

PROVENANCE = "rgflow"
_HOST = socket.gethostname().split(".")[0]
_RENAME_TRIES = 20


def publish(dataset: xr.Dataset, store: Path, provenance: Mapping[str, Any]) -> str:
    """Validate ``dataset``, write it under a temporary name, read it back, and rename it to ``store``; then its manifest.

    Whatever happens, ``store`` is either absent, the previous result, or complete: a kill, a full disk or an exception
    leaves at most a temporary sibling (``.x.zarr.*.tmp``), which the next publication removes.

    Parameters
    ----------
    dataset : xr.Dataset
        Every variable registered in :mod:`rgflow.store.variables`.
    store : Path
        Final name, ``*.zarr``.
    provenance : mapping
        JSON-able facts kept in the store's attributes; they do not enter the digest.

    Returns
    -------
    str
        The content digest.

    Raises
    ------
    RgflowError
        If a variable is not registered, or what was written does not read back equal.
    """
    validate(dataset, str(store))
    remove_leftovers(store)
    variables = digest_variables(dataset)
    with temporary_sibling(store) as temporary:
        write_zarr(document(dataset), temporary, provenance)
        with open_zarr(temporary) as written:
            if digest_variables(written) != variables:
                raise RgflowError(f"{store}: what was written does not read back equal; disk or memory fault?")
        replace_directory(temporary, store)
    content = digest(variables)
    write_manifest(manifest_of(store), content, variables)
    return content


def write_zarr(dataset: xr.Dataset, path: Path, provenance: Mapping[str, Any]) -> None:
    """Write a Zarr v3 store with consolidated metadata, one chunk per array up to 64 MiB."""
    attributed = _with_portable_strings(dataset).assign_attrs({PROVENANCE: canonical_json(dict(provenance))})
    for variable in attributed.variables.values():
        variable.encoding = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        attributed.to_zarr(path, zarr_format=3, consolidated=True, mode="w-")


def open_zarr(path: Path, chunks: Any = None) -> xr.Dataset:
    """Open a published store (eagerly indexed numpy arrays by default, dask arrays with ``chunks={}``)."""
    import xarray as xr

    if not (path / "zarr.json").is_file():
        raise RgflowError(f"{path}: no such store")
    return xr.open_zarr(path, consolidated=True, zarr_format=3, chunks=chunks)


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


@contextmanager
def temporary_sibling(store: Path) -> Iterator[Path]:
    """A hidden sibling name of ``store`` on the same file system; removed unless it was renamed away."""
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = store.with_name(f".{store.name}.{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
    finally:
        if temporary.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def replace_directory(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``, moving an existing ``target`` aside first: a full directory cannot be replaced."""
    aside = source.with_name(source.name + ".old")
    for _ in range(_RENAME_TRIES):
        with suppress(FileNotFoundError):
            target.rename(aside)
        try:
            source.rename(target)
            break
        except OSError as error:  # another writer of the same result published in between
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    else:
        raise RgflowError(f"{target}: other writers keep publishing it; is the same study running twice?")


def remove_leftovers(store: Path) -> None:
    """Remove temporary siblings of ``store`` left by processes of this host that are gone."""
    prefix = f".{store.name}.{_HOST}-"
    for leftover in store.parent.glob(f"{prefix}*.tmp*"):
        if not _alive(int(leftover.name.removeprefix(prefix).split("-")[0])):
            shutil.rmtree(leftover, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
