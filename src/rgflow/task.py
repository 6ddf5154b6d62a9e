"""The learning task: train and test samples with their targets, checked once and shared by theory and experiment."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from rgflow.arrays import real_array
from rgflow.errors import RgflowError
from rgflow.network import Network


@dataclass(frozen=True, eq=False, init=False)
class Task:
    """Samples to learn from and samples to predict, as float64 arrays.

    Results label samples by one dimension, train first, then test.

    Parameters
    ----------
    train_inputs, test_inputs
        Shape (sample, feature); a DataArray with these dimensions may have them in any order.
    train_targets, test_targets
        Shape (sample, output), likewise. Test targets are only needed for test losses.

    Raises
    ------
    RgflowError
        An array that is not two-dimensional, not of finite real numbers, or does not fit the others.
    """

    train_inputs: NDArray[np.float64]
    train_targets: NDArray[np.float64]
    test_inputs: NDArray[np.float64]
    test_targets: NDArray[np.float64] | None

    def __init__(
        self,
        train_inputs: ArrayLike | xr.DataArray,
        train_targets: ArrayLike | xr.DataArray,
        test_inputs: ArrayLike | xr.DataArray,
        test_targets: ArrayLike | xr.DataArray | None = None,
    ) -> None:
        assign = object.__setattr__  # the way around a frozen dataclass's own guard
        assign(self, "train_inputs", _matrix("train_inputs", train_inputs))
        assign(self, "train_targets", _matrix("train_targets", train_targets))
        assign(self, "test_inputs", _matrix("test_inputs", test_inputs))
        assign(self, "test_targets", None if test_targets is None else _matrix("test_targets", test_targets))
        self._check_sizes()

    def _check_sizes(self) -> None:
        _same_size("train_targets", self.train_targets, 0, "train_inputs", self.train_inputs)
        _same_size("test_inputs", self.test_inputs, 1, "train_inputs", self.train_inputs)
        if self.test_targets is not None:
            _same_size("test_targets", self.test_targets, 0, "test_inputs", self.test_inputs)
            _same_size("test_targets", self.test_targets, 1, "train_targets", self.train_targets)

    @property
    def inputs(self) -> NDArray[np.float64]:
        """All inputs, train then test: (sample, feature)."""
        return np.concatenate([self.train_inputs, self.test_inputs])

    @property
    def targets(self) -> NDArray[np.float64]:
        """All targets, train then test: (sample, output); NaN where test targets are not given."""
        shape = (len(self.test_inputs), self.train_targets.shape[1])
        test = np.full(shape, np.nan) if self.test_targets is None else self.test_targets
        return np.concatenate([self.train_targets, test])

    @property
    def train_count(self) -> int:
        """Number of train samples."""
        return len(self.train_inputs)

    @property
    def coordinates(self) -> dict[str, Any]:
        """Coordinates of result datasets: sample and output numbers, and the role of every sample, train or test."""
        return {
            "sample": np.arange(len(self.inputs)),
            "role": ("sample", ["train"] * self.train_count + ["test"] * len(self.test_inputs)),
            "output": np.arange(self.train_targets.shape[1]),
        }

    def check_fits(self, network: Network) -> None:
        """Raise RgflowError unless inputs have n_0 features and targets n_L components."""
        features, outputs = self.train_inputs.shape[1], self.train_targets.shape[1]
        if features != network.widths[0]:
            raise RgflowError(f"inputs have {features} features; the network takes n_0 = {network.widths[0]}")
        if outputs != network.widths[-1]:
            raise RgflowError(f"targets have {outputs} components; the network has n_L = {network.widths[-1]} outputs")


def logarithmic_steps(steps: int, records: int) -> tuple[int, ...]:
    """Step numbers from 0 to ``steps``, spaced logarithmically, about ``records`` of them."""
    spaced = np.geomspace(1, steps, max(records - 1, 1)).round().astype(int)
    return tuple(int(step) for step in np.unique([0, *spaced, steps]))


def recorded_steps(steps: Sequence[int]) -> tuple[int, ...]:
    """Return the recorded step numbers as a tuple; step t is the network after t updates.

    Raises
    ------
    RgflowError
        Unless they are integers that increase strictly from 0.
    """
    try:
        numbers = tuple(operator.index(step) for step in steps)
    except TypeError:
        raise RgflowError(f"steps = {steps!r}; they must be integers") from None
    if not numbers or numbers[0] != 0 or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise RgflowError(f"steps = {list(numbers)}; they must increase strictly and start at 0")
    return numbers


def _matrix(name: str, value: ArrayLike | xr.DataArray) -> NDArray[np.float64]:
    matrix = real_array(name, value, ("sample", "feature" if name.endswith("inputs") else "output"))
    if matrix.ndim != 2 or matrix.size == 0:
        raise RgflowError(f"{name} has shape {matrix.shape}; it must be a non-empty matrix, one row per sample")
    if not np.isfinite(matrix).all():
        raise RgflowError(
            f"{name} has non-finite entries; the first is in sample {np.argwhere(~np.isfinite(matrix))[0, 0]}"
        )
    return matrix


def _same_size(
    name: str, value: NDArray[np.float64], axis: int, reference_name: str, reference: NDArray[np.float64]
) -> None:
    if value.shape[axis] != reference.shape[axis]:
        what = ("samples", "columns")[axis]
        message = f"{name} has {value.shape[axis]} {what}; {reference_name} has {reference.shape[axis]}"
        raise RgflowError(message)
