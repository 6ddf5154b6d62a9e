"""Arrays ``x`` (count, ...) and ``y``, integer labels (count,) or real values (count,) or (count, output), of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rgflow.data.files import paired
from rgflow.data.source import InputsAndTargets, Selection, Source
from rgflow.errors import RgflowError


def _read(selection: Selection) -> InputsAndTargets:
    x, y = _npz_arrays(selection.file, ("x", "y"))
    return paired(x, y, selection.file)


def _targets(selection: Selection) -> np.ndarray:
    (y,) = _npz_arrays(selection.file, ("y",))
    return paired(np.zeros((len(y) if y.ndim else 0, 1)), y, selection.file)[1]


def _npz_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names if name in arrays.files}
    except FileNotFoundError:
        raise RgflowError(f"{path}: no such file") from None
    except Exception as error:  # damage shows in many ways: of the archive, of its compression, of an array's header
        raise RgflowError(f"{path}: not a readable .npz file ({_first_line(error)})") from None
    for name in names:
        if name not in found:
            raise RgflowError(f"{path}: no array {name!r}; an input file holds x (count, ...) and y (count,)")
    return [found[name] for name in names]


def _first_line(error: Exception) -> str:
    """What an error says, on one line, or its kind where it says nothing a user could read."""
    if isinstance(error, AttributeError | TypeError):  # numpy found a single array
        return "it holds one array, not several by name"
    return (str(error).splitlines() or [type(error).__name__])[0]


SOURCE = Source("a file of arrays x and y", _read, _targets, files=lambda path: [path])
