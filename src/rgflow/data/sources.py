"""Readers of data sets: each returns inputs (count, feature) as float64, and integer labels (count,) or real values
(count, output)."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rgflow.arrays import real_array
from rgflow.errors import RgflowError

Samples = tuple[np.ndarray, np.ndarray]

SYNTHETIC, SYNTHETIC_LABELS = ("gaussian", "circle"), (0, 1)

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_digits() -> Samples:
    """The 1797 handwritten digits of 8 x 8 pixels that ship with scikit-learn."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return np.asarray(x, float), np.asarray(y, int)


def read_breast_cancer() -> Samples:
    """30 measurements of 569 tumours that ship with scikit-learn, malignant (0) or benign (1)."""
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return np.asarray(x, float), np.asarray(y, int)


def read_diabetes() -> Samples:
    """10 measurements of 442 patients that ship with scikit-learn; the value, their disease's progression in a year, has
    zero mean and unit variance over all."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True)
    return np.asarray(x, float), np.asarray((y - y.mean()) / y.std(), float)[:, None]


def read_npz(path: Path) -> Samples:
    """Arrays ``x`` (count, ...) and ``y``, integer labels (count,) or real values (count,) or (count, output), of a file."""
    x, y = _npz_arrays(path, ("x", "y"))
    return _paired(x, y, path)


def read_npz_targets(path: Path) -> np.ndarray:
    """The array ``y`` of such a file alone, as ``read_npz`` returns it."""
    (y,) = _npz_arrays(path, ("y",))
    return _paired(np.zeros((len(y) if y.ndim else 0, 1)), y, path)[1]


def read_idx(path: Path) -> Samples:
    """MNIST-style IDX files, plain or ``.gz``: ``path`` holds the images, its sibling with ``labels-idx1`` the labels."""
    return _paired(_read_idx_array(path), _read_idx_array(labels_file(path)), path)


def read_idx_labels(images: Path) -> np.ndarray:
    """The labels of IDX images alone."""
    labels = _read_idx_array(labels_file(images))
    return _paired(np.zeros((len(labels), 1)), labels, images)[1]


def labels_file(images: Path) -> Path:
    """The file with the labels of IDX images, beside it: ``images`` and ``idx3`` in its name become ``labels`` and ``idx1``.

    Raises
    ------
    RgflowError
        If the name is not that of an images file.
    """
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    labels = images.parent / name
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


def _read_idx_array(path: Path) -> np.ndarray:
    content = _read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise RgflowError(f"{path}: not an IDX file")
    dtype, start = np.dtype(_IDX_TYPES[content[2]]), 4 + 4 * content[3]
    if len(content) < start:
        raise RgflowError(f"{path}: truncated IDX file, its header is not whole")
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    expected = dtype.itemsize * int(np.prod(shape, dtype=object))
    if len(content) - start != expected:
        raise RgflowError(f"{path}: truncated IDX file, {len(content) - start} bytes for shape {shape}, not {expected}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            return bytes(file.read())
    except FileNotFoundError:
        raise RgflowError(f"{path}: no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise RgflowError(f"{path}: cannot be read ({error})") from None


def _paired(x: np.ndarray, y: np.ndarray, path: Path) -> Samples:
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
