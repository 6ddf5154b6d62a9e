"""Content digests of labelled arrays: equal values, dims, dtypes and coordinates give equal digests, whatever the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import xarray as xr

_SLAB_BYTES = 64 << 20


def digest_variables(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Describe every data variable and coordinate: ``name -> {dims, dtype, shape, digest}``, sorted by name."""
    return {str(name): _describe(dataset[name]) for name in sorted(dataset.variables, key=str)}


def digest_json(value: Any) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no spaces) of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text per value. NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _describe(array: xr.DataArray) -> dict[str, Any]:
    content = hashlib.sha256()
    for slab in slabs(array):
        content.update(_bytes(slab.values))
    return {
        "dims": list(map(str, array.dims)),
        "dtype": _dtype_name(array.dtype),
        "shape": list(array.shape),
        "digest": content.hexdigest(),
    }


def slabs(array: xr.DataArray) -> Iterator[xr.DataArray]:
    """Yield the array in order along the first dimension, a bounded number of bytes, or one row of stored chunks, at a time."""
    if array.ndim == 0 or array.size == 0:
        yield array
        return
    chunk = array.encoding.get("chunks", (1,))[0]
    rows = max(1, _SLAB_BYTES * array.shape[0] // array.nbytes // chunk) * chunk
    for start in range(0, array.shape[0], rows):
        yield array[start : start + rows]


def _bytes(values: np.ndarray) -> bytes | memoryview:
    if values.dtype.kind in "OTU":
        return json.dumps([str(v) for v in values.ravel()]).encode()
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).data


def _dtype_name(dtype: np.dtype) -> str:
    return "str" if dtype.kind in "OTU" else dtype.newbyteorder("=").name


def file_digest(path: Path) -> str:
    """SHA-256 of the content of a file.

    Raises
    ------
    RgflowError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        raise RgflowError(f"{str(path)!r}: no such file, or it cannot be read (see data/README.md)") from None
