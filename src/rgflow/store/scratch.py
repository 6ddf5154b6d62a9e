"""Arrays that a calculation puts aside in files, by number."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class ScratchArrays(MutableMapping[int, Array]):
    """A mapping from numbers to arrays, each kept in a file of ``folder``, which is made when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __setitem__(self, key: int, value: Array) -> None:
        self._folder.mkdir(exist_ok=True)
        np.save(self._file(key), value)

    def __getitem__(self, key: int) -> Array:
        try:
            return np.asarray(np.load(self._file(key)))
        except FileNotFoundError:
            raise KeyError(key) from None

    def __delitem__(self, key: int) -> None:
        self._file(key).unlink()

    def __iter__(self) -> Iterator[int]:
        return (int(file.stem) for file in self._folder.glob("*.npy"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _file(self, key: int) -> Path:
        return self._folder / f"{key}.npy"
