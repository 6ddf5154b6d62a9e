"""What a data set is, and what of it a study selects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

InputsAndTargets = tuple[np.ndarray, np.ndarray]
"""Inputs (count, feature) as float64, and integer labels (count,) or real values (count, output)."""


@dataclass(frozen=True)
class Selection:
    """What to select; the keys of ``inputs`` in the configuration.

    Attributes
    ----------
    source, path
        Which data.
    classes
        Labels to keep, where targets are classes.
    train, test
        How many samples to learn and to predict.
    probes
        How many inputs serve at initialization.
    features
        Of the gaussian set.
    normalization
        See ``normalize``.
    seed
        Key of the choice.
    targets
        "classes": -1 and +1 or one-hot, by label; "values": real numbers as they are; "auto": what the source has.
    """

    source: str
    classes: list[int]
    train: int
    test: int
    probes: int
    features: int
    normalization: str
    seed: int
    path: str | None = None
    targets: str = "auto"

    @property
    def count(self) -> int:
        """Number of samples to draw of a synthetic set, from which to choose."""
        return 4 * (self.train + self.test)

    @property
    def file(self) -> Path:
        """The path."""
        return Path(self.path or "")


@dataclass(frozen=True)
class Source:
    """A data set: one module of :mod:`rgflow.data.sources`, which gives it its name.

    Attributes
    ----------
    summary
        For the description of the setting: a few words.
    read
        Inputs with their labels or values.
    targets
        Labels or values alone, where that is cheaper than to read.
    labels
        Of a synthetic set: its labels, known without drawing.
    files
        Of a set in files: those that the path stands for, whose content is part of a result's identity.
    """

    summary: str
    read: Callable[[Selection], InputsAndTargets]
    targets: Callable[[Selection], np.ndarray] | None = None
    labels: tuple[int, ...] | None = None
    files: Callable[[str], list[str]] | None = None
