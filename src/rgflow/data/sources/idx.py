"""MNIST-style IDX files, plain or ``.gz``: the path is that of the images, whose sibling with ``labels-idx1`` has the labels."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from rgflow.data.files import paired
from rgflow.data.source import InputsAndTargets, Selection, Source
from rgflow.errors import RgflowError

_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def _read(selection: Selection) -> InputsAndTargets:
    images = selection.file
    return paired(_read_idx_array(images), _read_idx_array(labels_file(images)), images)


def _targets(selection: Selection) -> np.ndarray:
    labels = _read_idx_array(labels_file(selection.file))
    return paired(np.zeros((len(labels), 1)), labels, selection.file)[1]


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


SOURCE = Source(
    "MNIST-style images, labels beside them",
    _read,
    _targets,
    files=lambda path: [path, str(labels_file(Path(path)))],
)
