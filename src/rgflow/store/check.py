"""Verification of stored results: every digest and schema, and what is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgflow.errors import RgflowError, TransientError
from rgflow.store.digest import digest_variables
from rgflow.store.index import INDEX, find_study, identity, indexed_below, read_index, walk_stores
from rgflow.store.manifest import content_digest, manifest_of, portable, read_manifest, store_of
from rgflow.store.memo import forget
from rgflow.store.publish import PROVENANCE, open_zarr, stage_attributes

if TYPE_CHECKING:
    import xarray as xr

    from rgflow.store.variables import Registry


@dataclass(frozen=True)
class Finding:
    """What was found of one store: ``problem`` is empty if it is intact."""

    store: Path
    problem: str = ""


def check_results(root: Path, registry: Registry | None = None) -> Iterator[Finding]:
    """Yield a finding for each store at or below ``root``, in order of path; with a registry its schema is checked too.

    Where the study has an index, the stores are those that it names: one that is missing, or was made from another spec than
    the index says, is a finding as well.

    Raises
    ------
    RgflowError
        If there is nothing to check at ``root``.
    """
    belonging = indexed_below(root)
    stores = sorted(_stores(root) if belonging is None else belonging)
    if not stores:
        raise RgflowError(f"{root}: no stores there to check")
    for store in stores:
        yield Finding(store, _problem(store, registry))


def repair(findings: Iterable[Finding]) -> None:
    """Remove what is damaged, store, manifest and memory of it, so that the next run makes it anew."""
    for finding in findings:
        if finding.problem:
            forget(finding.store)
            shutil.rmtree(finding.store, ignore_errors=True)
            manifest_of(finding.store).unlink(missing_ok=True)


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
        raise TransientError(f"{store}: {problem}; delete this store and run again, it will be made anew")
    return dataset


def _stores(root: Path) -> set[Path]:
    """All final names below ``root``: those with a store, a manifest, or both."""
    if root.suffix in (".zarr", ".json"):
        store = root.with_suffix(".zarr")
        return {store} if store.exists() or manifest_of(store).exists() else set()
    manifests = (path for path in walk_stores(root, ".json") if path.name != INDEX)
    return {*walk_stores(root), *map(store_of, manifests)}


def _problem(store: Path, registry: Registry | None) -> str:
    try:
        manifest = read_manifest(manifest_of(store))
        with open_zarr(store) as dataset:
            if registry:
                registry.validate(dataset, str(store))
            return _difference(dataset, manifest) or _other_spec(store, dataset)
    except Exception as error:
        return _unreadable(store, error)


def _difference(dataset: xr.Dataset, manifest: dict[str, Any]) -> str:
    """In what a dataset is not the one of its manifest; empty if it is."""
    found, expected = digest_variables(dataset), manifest["variables"]
    damaged = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if damaged:
        return f"differs from its manifest in {', '.join(damaged)}"
    attributes = stage_attributes(dataset)
    if portable(attributes) != manifest["attributes"]:
        return "differs from its manifest in its attributes"
    return "" if content_digest(found, attributes) == manifest["digest"] else "manifest is inconsistent with itself"


def _other_spec(store: Path, dataset: xr.Dataset) -> str:
    """Whether a store was made from another spec than the index of its study says; empty if not."""
    study = find_study(store.parent)
    if study is None:
        return ""
    name = store.absolute().relative_to(study.absolute()).with_suffix("").as_posix()
    expected = read_index(study).all.get(name)
    facts = json.loads(dataset.attrs.get(PROVENANCE, "{}"))
    if expected is None or expected == identity(facts.get("stage", ""), facts.get("spec")):
        return ""
    return "was made from another configuration than that of its study"


def _unreadable(store: Path, error: Exception) -> str:
    """One line for any exception: a damaged store can fail anywhere inside the decoders."""
    if isinstance(error, RgflowError):
        return str(error).removeprefix(f"{store}: ")
    return f"cannot be read: {type(error).__name__}: {error}".splitlines()[0]
