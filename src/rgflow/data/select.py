"""Selection of the inputs of a study: classes, counts, normalization, targets; the same for the same seed, always."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rgflow.data.sources import Samples, draw_circle, draw_gaussian, read_digits, read_idx, read_npz
from rgflow.errors import RgflowError

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Selection:
    """What to select; the keys of ``inputs`` in the configuration."""

    source: str
    classes: list[int]
    train: int
    test: int
    probes: int
    features: int
    normalization: str
    seed: int
    path: str | None = None


def select_inputs(selection: Selection) -> xr.Dataset:
    """Read, select and normalize the inputs of a study.

    Returns
    -------
    xr.Dataset
        ``x`` (sample, feature) and ``y`` (sample, output), training inputs first; ``probe`` (sample) marks the inputs
        used at initialization: the first of each class in turn. Coordinates: ``role`` ("train" or "test"), ``label`` (class)
        and ``source_row`` (row in the source). Two classes give one output with targets -1 and +1, more give one-hot targets.

    Raises
    ------
    RgflowError
        If the source cannot be read, or has too few samples of a class.
    """
    import xarray as xr

    x, labels = read_source(selection)
    rows = _choose_rows(labels, selection)
    samples = np.arange(len(rows))
    return xr.Dataset(
        {
            "x": (("sample", "feature"), normalize(x[rows], selection.normalization)),
            "y": (("sample", "output"), targets(labels[rows], selection.classes)),
            "probe": ("sample", samples < selection.probes),
        },
        coords={
            "sample": samples,
            "role": ("sample", np.where(samples < selection.train, "train", "test")),
            "label": ("sample", labels[rows]),
            "source_row": ("sample", rows),
        },
    )


def read_source(selection: Selection) -> Samples:
    """Inputs and labels of the chosen source."""
    count = 4 * (selection.train + selection.test)
    path = Path(selection.path or "")
    if selection.source == "npz":
        return read_npz(path)
    if selection.source == "idx":
        return read_idx(path)
    if selection.source == "gaussian":
        return draw_gaussian(count, selection.features, selection.seed)
    if selection.source == "circle":
        return draw_circle(count)
    return read_digits()


def normalize(x: np.ndarray, how: str) -> np.ndarray:
    """Normalize inputs (sample, feature).

    ``standardize`` gives every feature zero mean and unit variance over the selected inputs (constant features become 0);
    ``sphere`` subtracts the mean input and scales each to |x|^2 = n_0, so that K^(1)_aa = C_b + C_W; ``none`` leaves them.
    """
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


def _choose_rows(labels: np.ndarray, selection: Selection) -> np.ndarray:
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
