"""Selection of the inputs of a study: classes or values, counts, normalization; the same for the same seed, always."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rgflow.data.source import InputsAndTargets, Selection, Source
from rgflow.data.sources import sources
from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import xarray as xr

_LARGEST, _SMALLEST = 1e100, 1e-100  # of inputs: their squares are summed


def select_inputs(selection: Selection) -> xr.Dataset:
    """Read, select and normalize the inputs of a study.

    Returns
    -------
    xr.Dataset
        ``x`` (sample, feature) and ``y`` (sample, output), training inputs first; ``probe`` (sample) marks the inputs used
        at initialization, the first ones. Coordinates: ``role`` ("train" or "test"), ``source_row`` (row in the source)
        and, of classes, ``label``. Classes are taken in turn; two of them give one output with targets -1 and +1, more
        give one-hot targets. Targets that are values stay as they are in the source.

    Raises
    ------
    RgflowError
        If the source cannot be read, has too few samples, has no targets of the kind asked for, or inputs so large or
        small that their squares leave the range of numbers.
    """
    import xarray as xr

    x, known = read_source(selection)
    by_class = _are_classes(known, selection)
    rows = _rows_of_classes(known, selection) if by_class else _rows_of_values(len(known), selection)
    samples = np.arange(len(rows))
    chosen = known[rows]
    coords = {
        "sample": samples,
        "role": ("sample", np.where(samples < selection.train, "train", "test")),
        "source_row": ("sample", rows),
    }
    return xr.Dataset(
        {
            "x": (("sample", "feature"), normalize(x[rows], selection.normalization)),
            "y": (("sample", "output"), targets(chosen, selection.classes) if by_class else _values(chosen)),
            "probe": ("sample", samples < selection.probes),
        },
        coords=coords | ({"label": ("sample", chosen)} if by_class else {}),
    )


def read_source(selection: Selection) -> InputsAndTargets:
    """Inputs with the labels or values of the chosen source."""
    return _source(selection).read(selection)


def check_selection(selection: Selection) -> None:
    """Raise what ``select_inputs`` would raise of classes and counts; of files only the targets are read.

    Raises
    ------
    RgflowError
        The source cannot be read, has too few samples, or no targets of the kind asked for.
    """
    source = _source(selection)
    if source.labels is not None:
        foreign = set(selection.classes) - set(source.labels)
        if foreign and selection.targets != "values":
            raise RgflowError(
                f"inputs: class {min(foreign)} has 0 samples in {selection.source}, whose labels are "
                + " and ".join(map(str, source.labels))
            )
        return
    known = source.targets(selection) if source.targets else source.read(selection)[1]
    if _are_classes(known, selection):
        _rows_of_classes(known, selection)
    else:
        _rows_of_values(len(known), selection)


def _source(selection: Selection) -> Source:
    if selection.source not in sources():
        raise RgflowError(f"inputs: source = {selection.source!r}; it must be one of {', '.join(sources())}")
    return sources()[selection.source]


def normalize(x: np.ndarray, how: str) -> np.ndarray:
    """Normalize inputs (sample, feature).

    ``standardize`` gives every feature zero mean and unit variance over the selected inputs (constant features become 0);
    ``sphere`` subtracts the mean input and scales each to |x|^2 = n_0, so that K^(1)_aa = C_b + C_W; ``none`` leaves them.

    Raises
    ------
    RgflowError
        Inputs whose squares leave the range of numbers, or with ``sphere`` an input that equals the mean.
    """
    largest = np.abs(x).max()
    if largest > _LARGEST or 0 < largest < _SMALLEST:
        raise RgflowError(
            f"inputs: their largest entry is {largest:.3g}; squares leave the range of numbers: rescale them"
        )
    if how == "none":
        return x
    centred = x - x.mean(axis=0)
    if how == "standardize":
        spread = centred.std(axis=0)
        return np.asarray(centred / np.where(spread > 0, spread, 1.0))
    norm = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    if not (norm > 0).all():
        raise RgflowError("inputs: an input equals the mean of all; normalization 'sphere' cannot scale it")
    return np.asarray(centred / norm)


def targets(labels: np.ndarray, classes: list[int]) -> np.ndarray:
    """Targets (sample, output): -1 and +1 for the first and second of two classes, one-hot for more."""
    position = np.array([classes.index(label) for label in labels])
    if len(classes) == 2:
        return np.asarray(2.0 * position[:, None] - 1.0)
    return np.asarray(np.eye(len(classes))[position])


def _values(known: np.ndarray) -> np.ndarray:
    """Targets (sample, output) that are the values of the source; integers become numbers."""
    return np.asarray(known.reshape(len(known), -1), dtype=float)


def _are_classes(known: np.ndarray, selection: Selection) -> bool:
    """Whether targets are classes; labels may also serve as values, but values are no labels."""
    has_labels = known.dtype.kind == "i"
    if selection.targets not in ("auto", "classes", "values"):
        raise RgflowError(f"inputs: targets = {selection.targets!r}; it must be one of auto, classes, values")
    if selection.targets == "classes" and not has_labels:
        where = selection.path or selection.source
        raise RgflowError(
            f"inputs: targets = 'classes', but y of {where} holds real values, not integer labels; use 'values'"
        )
    return has_labels and selection.targets != "values"


def _rows_of_classes(labels: np.ndarray, selection: Selection) -> np.ndarray:
    """Rows of the source: classes in turn, within a class a random order fixed by the seed; training inputs first."""
    total = selection.train + selection.test
    per_class = -(-total // len(selection.classes))
    generator = np.random.default_rng([selection.seed, 1])
    columns = []
    for label in selection.classes:
        rows = np.flatnonzero(labels == label)
        if len(rows) < per_class:
            raise RgflowError(
                f"inputs: class {label} has {len(rows)} samples in {selection.path or selection.source}, {per_class} are needed"
            )
        columns.append(generator.permutation(rows)[:per_class])
    return np.stack(columns, axis=1).ravel()[:total]


def _rows_of_values(count: int, selection: Selection) -> np.ndarray:
    """Rows of the source in a random order fixed by the seed."""
    total = selection.train + selection.test
    if count < total:
        raise RgflowError(f"inputs: {selection.path or selection.source} has {count} samples, {total} are needed")
    return np.random.default_rng([selection.seed, 1]).permutation(count)[:total]
