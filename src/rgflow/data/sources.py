"""Readers of data sets: each returns inputs (count, feature) as float64 and integer labels (count,)."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from rgflow.errors import RgflowError

Samples = tuple[np.ndarray, np.ndarray]

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_digits() -> Samples:
    """The 1797 handwritten digits of 8 x 8 pixels that ship with scikit-learn."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return np.asarray(x, float), np.asarray(y, int)


def read_npz(path: Path) -> Samples:
    """Arrays ``x`` (count, ...) and integer ``y`` (count,) of an ``.npz`` file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = {"x", "y"} - set(arrays.files)
            if missing:
                raise RgflowError(
                    f"{path}: no array {sorted(missing)[0]!r}; an input file holds x (count, ...) and y (count,)"
                )
            return _paired(arrays["x"], arrays["y"], path)
    except FileNotFoundError:
        raise RgflowError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        if isinstance(error, RgflowError):
            raise
        raise RgflowError(f"{path}: not a readable .npz file ({error})") from None


def read_idx(path: Path) -> Samples:
    """MNIST-style IDX files, plain or ``.gz``: ``path`` holds the images, its sibling with ``labels-idx1`` the labels."""
    return _paired(_read_idx_array(path), _read_idx_array(labels_file(path)), path)


def labels_file(images: Path) -> Path:
    """The file with the labels of IDX images, beside it: ``images`` and ``idx3`` in its name become ``labels`` and ``idx1``.

    Raises
    ------
    RgflowError
        If the name is not that of an images file.
    """
    labels = images.with_name(images.name.replace("images", "labels").replace("idx3", "idx1"))
    if labels == images:
        raise RgflowError(
            f"{images}: name the images file, like train-images-idx3-ubyte; the labels are found beside it"
        )
    return labels


def draw_gaussian(count: int, features: int, seed: int) -> Samples:
    """Standard normal inputs, labelled 0 or 1 by the sign of a random linear teacher."""
    generator = np.random.default_rng([seed, 0])
    x = generator.standard_normal((count, features))
    return x, (x @ generator.standard_normal(features) > 0).astype(int)


def draw_circle(count: int) -> Samples:
    """Equally spaced points on the circle |x|^2 = n_0 = 2, labelled by quadrant parity."""
    angle = 2 * np.pi * (np.arange(count) + 0.5) / count
    return np.sqrt(2.0) * np.stack([np.cos(angle), np.sin(angle)], axis=1), (np.sin(2 * angle) > 0).astype(int)


def _read_idx_array(path: Path) -> np.ndarray:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise RgflowError(f"{path}: no such file") from None
    except OSError as error:
        raise RgflowError(f"{path}: cannot be read ({error})") from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise RgflowError(f"{path}: not an IDX file")
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    values = np.frombuffer(content, _IDX_TYPES[content[2]], offset=start)
    if values.size != np.prod(shape):
        raise RgflowError(f"{path}: truncated IDX file, {values.size} values for shape {shape}")
    return values.reshape(shape)


def _paired(x: np.ndarray, y: np.ndarray, path: Path) -> Samples:
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise RgflowError(f"{path}: x has shape {x.shape}, y {y.shape}; wanted (count, ...) and (count,)")
    if not np.issubdtype(y.dtype, np.integer):
        raise RgflowError(f"{path}: y has dtype {y.dtype}; labels are integers")
    flat = x.reshape(len(x), -1).astype(float)
    if not np.isfinite(flat).all():
        raise RgflowError(f"{path}: x holds NaN or infinity at row {np.argwhere(~np.isfinite(flat))[0][0]}")
    return flat, y.astype(int)
