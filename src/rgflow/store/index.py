"""The index of a study: which stores it has now, and the spec that each must have been made from.

``results/<study>/index.json`` is written beside the configuration by every run. Opened results are those of the index, so what
an earlier configuration left behind does not mix with what the present one asks for; and a store that was made from another
spec under the same name is told from the one that belongs there, whatever notes the workflow has lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rgflow.errors import RgflowError
from rgflow.store.digest import digest_json
from rgflow.store.manifest import write_atomically

INDEX = "index.json"
_LEVELS = 10  # of folders between a store and its study


def identity(stage: str, spec: Any) -> str:
    """Digest of what a store must have been made from."""
    return digest_json({"stage": stage, "spec": spec})


@dataclass(frozen=True)
class Index:
    """The stores of a study: path relative to the study, without suffix -> identity.

    Attributes
    ----------
    wanted
        Stores of a finished study.
    on_demand
        Stores that belong to the study and are there only if they were asked for.
    """

    wanted: Mapping[str, str]
    on_demand: Mapping[str, str]

    @property
    def all(self) -> dict[str, str]:
        """Wanted and on demand together."""
        return {**self.wanted, **self.on_demand}


def write_index(path: Path, index: Index) -> None:
    """Write the index of a study."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(asdict(index), indent=0, sort_keys=True) + "\n")


def read_index(study: Path) -> Index:
    """Read the index of a study; one line if it is damaged.

    Raises
    ------
    RgflowError
        If it is not what ``write_index`` writes.
    """
    try:
        content = json.loads((study / INDEX).read_text(encoding="utf-8"))
        return Index(dict(content["wanted"]), dict(content["on_demand"]))
    except (ValueError, TypeError, KeyError, OSError):
        raise RgflowError(f"{study / INDEX}: not an index of stores; run the study again, it is made anew") from None


def find_study(path: Path) -> Path | None:
    """The folder of the study that a path lies in, found by its index; None if there is none."""
    for folder in [path, *path.absolute().parents][:_LEVELS]:
        if (folder / INDEX).is_file():
            return folder
    return None


def indexed_below(root: Path) -> set[Path] | None:
    """The stores at or below ``root`` that the index of its study names; None without an index."""
    study = find_study(root)
    if study is None:
        return None
    index = read_index(study)
    asked_for = (store for store in index.on_demand if (study / f"{store}.json").exists())
    stores = {study / f"{store}.zarr" for store in [*index.wanted, *asked_for]}
    here = root.absolute()
    return {store for store in stores if here in [store.absolute(), *store.absolute().parents]}


def walk_stores(root: Path, suffix: str = ".zarr") -> Iterator[Path]:
    """Every path below ``root`` with a suffix, hidden names left out, links followed (each folder once)."""
    seen: set[tuple[int, int]] = set()
    for folder, names, files in os.walk(root, followlinks=True):
        place = os.stat(folder)
        if (place.st_dev, place.st_ino) in seen:
            names.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted([*names, *files]) if name.endswith(suffix))
        names[:] = [name for name in names if not name.endswith(".zarr")]
