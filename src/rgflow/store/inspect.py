"""Plain-text description of what is stored at a path."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rgflow.errors import RgflowError
from rgflow.store.labels import parse_path
from rgflow.store.manifest import manifest_of, read_manifest
from rgflow.store.open import present, published_stores
from rgflow.store.publish import PROVENANCE, open_zarr

if TYPE_CHECKING:
    import xarray as xr


def describe(path: Path) -> Iterator[str]:
    """Yield lines: the variables of one store with their meaning, or a table of the stores of a folder.

    Raises
    ------
    RgflowError
        If nothing published is there.
    """
    stores = list(published_stores(path))
    if not stores:
        raise RgflowError(f"{path}: no published results there")
    if path.suffix == ".zarr":
        with open_zarr(present(path)) as dataset:
            yield from _describe_store(path, dataset)
    else:
        yield from _describe_folder(path, stores)


def _describe_store(path: Path, dataset: xr.Dataset) -> Iterator[str]:
    facts = json.loads(dataset.attrs.get(PROVENANCE, "{}"))
    yield f"{path}  ({_size(path)})"
    yield f"  digest  {read_manifest(manifest_of(path))['digest']}"
    for key in ("stage", "rgflow", "commit", "dirty", "time", "host", "spec", "code"):
        if key in facts:
            yield f"  {key:<7} {facts[key]}"
    yield "  dims    " + ", ".join(f"{dim}={size}" for dim, size in dataset.sizes.items())
    yield "  variables"
    for name, array in sorted(dataset.data_vars.items(), key=lambda item: str(item[0])):
        meaning = ": ".join(filter(None, (array.attrs.get("long_name"), array.attrs.get("equation"))))
        yield f"    {name!s:<28} ({', '.join(map(str, array.dims))})  {array.dtype}  {meaning}"


def _describe_folder(path: Path, stores: list[Path]) -> Iterator[str]:
    counts: Counter[str] = Counter()
    labels: dict[str, dict[str, set[str]]] = {}
    for store in stores:
        stage, cell = parse_path(store.relative_to(path))
        stage += "/block" if "block" in cell else ""
        counts[stage] += 1
        for key, value in cell.items():
            labels.setdefault(stage, {}).setdefault(key, set()).add(str(value))
    yield f"{path}  ({len(stores)} stores, {_size(path)})"
    for stage, count in sorted(counts.items()):
        sweep = "  ".join(
            f"{key}: {', '.join(sorted(values))}" for key, values in labels.get(stage, {}).items() if key != "block"
        )
        yield f"  {stage or '.':<28} {count:>5}  {sweep}"


def _size(path: Path) -> str:
    files = {(s.st_dev, s.st_ino): s.st_size for p in path.rglob("*") if p.is_file() for s in [p.stat()]}
    total = float(sum(files.values()))
    for unit in ("B", "kB", "MB", "GB"):
        if total < 1000 or unit == "GB":
            return f"{total:.3g} {unit}"
        total /= 1000
    return ""
