"""Manifests: the small JSON file beside each store that says what the store holds.

``x.zarr`` has the manifest ``x.json``. A manifest depends on the decoded content only, so a stage that runs again with an
equal result writes the same bytes, and what follows it stays idle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError
from rgflow.store.digest import digest_json
from rgflow.store.temporary import temporary_sibling

FORMAT = 2
_LONGEST_NAME = 255  # bytes of a file name


def local_path(path: str | Path) -> Path:
    """The path, unless it is the address of an object store: there a result cannot be published by one renaming."""
    if "://" in str(path):
        raise RgflowError(f"{path}: results need a file system with atomic renames; see docs/cluster.md")
    if "\0" in str(path) or any(len(os.fsencode(part)) > _LONGEST_NAME for part in Path(path).parts):
        raise RgflowError(f"{str(path)[:80]!r}: no path of a file system")
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
    except OSError as error:
        raise RgflowError(f"{path}: not a manifest ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise RgflowError(f"{path}: not a manifest (no valid JSON)") from None
    if not isinstance(content, dict) or content.get("rgflow_manifest") != FORMAT:
        raise RgflowError(f"{path}: not a manifest of format {FORMAT}")
    return content


def write_manifest(path: Path, variables: Mapping[str, Any], attributes: Mapping[str, Any]) -> str:
    """Write the manifest of a result atomically; returns the digest of all that the result holds."""
    content = content_digest(variables, attributes)
    manifest = {
        "rgflow_manifest": FORMAT,
        "digest": content,
        "variables": variables,
        "attributes": portable(attributes),
    }
    write_atomically(path, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return content


def content_digest(variables: Mapping[str, Any], attributes: Mapping[str, Any]) -> str:
    """Digest of a result: of its variables, as described by ``digest_variables``, and of its stage's attributes."""
    return digest_json({"variables": variables, "attributes": portable(attributes)})


def portable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as they read back from JSON: lists for tuples and arrays, plain numbers for numpy's."""
    return {key: _plain(value) for key, value in attributes.items()}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` under a temporary sibling name, flush it to disk and rename it to ``path``."""
    with temporary_sibling(path) as temporary:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
