"""Verification of stored results: every digest and schema, and what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgflow.errors import RgflowError
from rgflow.store.digest import digest, digest_variables
from rgflow.store.manifest import manifest_of, read_manifest, store_of
from rgflow.store.open import _hidden
from rgflow.store.publish import open_zarr
from rgflow.store.variables import validate

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Finding:
    """What was found of one store: ``problem`` is empty if it is intact."""

    store: Path
    problem: str = ""


def check_results(root: Path) -> Iterator[Finding]:
    """Yield a finding for each store at or below ``root``, in order of path.

    Raises
    ------
    RgflowError
        If there is nothing to check at ``root``.
    """
    stores = sorted(_stores(root))
    if not stores:
        raise RgflowError(f"{root}: no stores there to check")
    for store in stores:
        yield Finding(store, _problem(store))


def open_intact(manifest: Path) -> xr.Dataset:
    """The dataset of a manifest, in memory, every value compared with the digests of the manifest.

    Raises
    ------
    RgflowError
        If the store is missing, damaged, or not the one that the manifest describes; the line says what to do.
    """
    store, content = store_of(manifest), read_manifest(manifest)
    try:
        with open_zarr(store) as stored:
            dataset = stored.load()
        problem = _difference(dataset, content)
    except RgflowError:
        raise
    except Exception as error:
        problem = _unreadable(store, error)
    if problem:
        raise RgflowError(f"{store}: {problem}; delete this store and run again, it will be made anew")
    return dataset


def _stores(root: Path) -> set[Path]:
    """All final names below ``root``: those with a store, a manifest, or both."""
    if root.suffix in (".zarr", ".json"):
        return {root.with_suffix(".zarr")}
    stores = set(root.rglob("*.zarr"))
    manifests = {store_of(p) for p in root.rglob("*.json") if not any(part.endswith(".zarr") for part in p.parts)}
    return {p for p in stores | manifests if not _hidden(p.relative_to(root))}


def _problem(store: Path) -> str:
    try:
        manifest = read_manifest(manifest_of(store))
        with open_zarr(store) as dataset:
            validate(dataset, str(store))
            return _difference(dataset, manifest)
    except Exception as error:
        return _unreadable(store, error)


def _difference(dataset: xr.Dataset, manifest: dict[str, Any]) -> str:
    """In what a dataset is not the one of its manifest; empty if it is."""
    found, expected = digest_variables(dataset), manifest["variables"]
    damaged = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if damaged:
        return f"differs from its manifest in {', '.join(damaged)}"
    return "" if digest(found) == manifest["digest"] else "manifest is inconsistent with itself"


def _unreadable(store: Path, error: Exception) -> str:
    """One line for any exception: a damaged store can fail anywhere inside the decoders."""
    if isinstance(error, RgflowError):
        return str(error).removeprefix(f"{store}: ")
    return f"cannot be read: {type(error).__name__}: {error}".splitlines()[0]
