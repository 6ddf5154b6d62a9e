"""What readers of files share: the checks of what was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rgflow.arrays import real_array
from rgflow.data.source import InputsAndTargets
from rgflow.errors import RgflowError


def paired(x: np.ndarray, y: np.ndarray, path: Path) -> InputsAndTargets:
    """Inputs (count, feature) with integer labels (count,) or values (count, output), of arrays as they are in files."""
    if x.ndim < 2 or y.ndim not in (1, 2) or len(x) != len(y) or x.size == 0 or y.size == 0:
        raise RgflowError(
            f"{path}: x has shape {x.shape}, y {y.shape}; wanted (count, ...) and (count,) or (count, output)"
        )
    inputs = _finite(f"{path}: x", x).reshape(len(x), -1)
    values = _finite(f"{path}: y", y)
    is_label = y.ndim == 1 and y.dtype.kind in "biu"
    return inputs, y.astype(int) if is_label else values.reshape(len(y), -1)


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    numbers = real_array(name, values)
    if not np.isfinite(numbers).all():
        raise RgflowError(f"{name} holds NaN or infinity at row {np.argwhere(~np.isfinite(numbers))[0][0]}")
    return numbers
