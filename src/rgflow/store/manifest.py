"""Manifests: the small JSON file beside each store that says what the store holds.

``x.zarr`` has the manifest ``x.json``. A manifest depends on the decoded content only, so a stage that runs again with an
equal result writes the same bytes, and what follows it stays idle.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError
from rgflow.store.temporary import temporary_sibling

FORMAT = 1


def local_path(path: str | Path) -> Path:
    """The path, unless it is the address of an object store: there a result cannot be published by one renaming."""
    if "://" in str(path):
        raise RgflowError(f"{path}: results need a file system with atomic renames; see docs/cluster.md")
    return Path(path)


def manifest_of(store: Path) -> Path:
    """Path of the manifest of a store: ``x.zarr`` -> ``x.json``."""
    return store.with_suffix(".json")


def store_of(manifest: Path) -> Path:
    """Path of the store of a manifest: ``x.json`` -> ``x.zarr``."""
    return manifest.with_suffix(".zarr")


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest; one line if it is missing or not a manifest."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise RgflowError(f"{path}: no such manifest") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise RgflowError(f"{path}: not a manifest (no valid JSON)") from None
    if not isinstance(content, dict) or content.get("rgflow_manifest") != FORMAT:
        raise RgflowError(f"{path}: not a manifest of format {FORMAT}")
    return content


def write_manifest(path: Path, digest: str, variables: dict[str, dict[str, Any]]) -> None:
    """Write a manifest atomically."""
    content = {"rgflow_manifest": FORMAT, "digest": digest, "variables": variables}
    write_atomically(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` under a temporary sibling name, flush it to disk and rename it to ``path``."""
    with temporary_sibling(path) as temporary:
        with temporary.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
