"""Labels in paths: ``activation~tanh/depth~16/width~128`` names a cell of a study; values come back typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

Label = str | int | float
SEPARATOR = "~"


def cell_path(labels: Mapping[str, Label]) -> str:
    """Join labels to a relative path, in the given order."""
    return "/".join(f"{key}{SEPARATOR}{value}" for key, value in labels.items())


def parse_path(path: PurePath) -> tuple[str, dict[str, Label]]:
    """Split a store's path relative to its study into the stage (``theory/initialization``) and the labels of the cell."""
    parts = path.with_suffix("").parts
    stage = "/".join(part for part in parts if SEPARATOR not in part)
    labels = dict(part.split(SEPARATOR, 1) for part in parts if SEPARATOR in part)
    return stage, {key: _typed(value) for key, value in labels.items()}


def _typed(text: str) -> Label:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
