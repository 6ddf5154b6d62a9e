"""Distinct components of the tensors: symmetric ones are counted once."""

from __future__ import annotations

from itertools import product

import pytest

from rgflow.comparison.quantities import DNTK, INITIALIZATION, Quantity
from rgflow.comparison.training import TRAINING

BY_NAME = {quantity.name: quantity for quantity in (*INITIALIZATION, *DNTK, *TRAINING)}


def _sizes(quantity: Quantity, inputs: int) -> dict[str, int]:
    return {dim: inputs if dim.startswith("sample_") else 3 for dim in quantity.dims}


def _legs(name: str, inputs: int) -> set[tuple[int, ...]]:
    quantity = BY_NAME[name]
    index = quantity.distinct_components(_sizes(quantity, inputs))
    return set(zip(*(index[dim].tolist() for dim in quantity.dims if dim.startswith("sample_")), strict=True))


@pytest.mark.parametrize(
    ("name", "count"),
    [  # m = n(n+1)/2 = 6 pairs of 3 inputs; Burnside for F and B
        ("K", 6),
        ("T3", 3 * 6),
        ("V", 6 * 7 // 2),
        ("A", 6 * 7 // 2),
        ("D", 6 * 6),
        ("F", (81 + 9) // 2),
        ("B", (81 + 9 + 9 + 9) // 4),
        ("P", 3 * 6 * 3),
        ("Q", 81),
        ("R", 9 * 6),
        ("S", (81 + 9) // 2),
        ("T", (81 + 9) // 2),
        ("prediction_covariance", 6),
    ],
)
def test_number_of_distinct_components_of_three_inputs(name: str, count: int) -> None:
    assert len(_legs(name, 3)) == count


def test_unsymmetric_dims_are_kept_in_full() -> None:
    index = BY_NAME["prediction_mean"].distinct_components({"step": 4, "sample": 3, "output": 2})
    assert index["step"].size == 24


def test_slots_of_D_are_not_exchanged() -> None:
    assert {(0, 0, 1, 1), (1, 1, 0, 0)} <= _legs("D", 2)
    assert (1, 1, 0, 0) not in _legs("V", 2)


def test_every_layer_holds_the_same_components() -> None:
    index = BY_NAME["V"].distinct_components(_sizes(BY_NAME["V"], 2))
    assert sorted(index["layer"].tolist()) == [layer for layer in range(3) for _ in range(6)]


@pytest.mark.parametrize("name", ["K", "T3", "V", "F", "B", "P", "Q", "S", "U"])
def test_canonical_components_are_the_distinct_ones(name: str) -> None:
    quantity = BY_NAME[name]
    every = product(range(3), repeat=len(quantity.dims) - 1)
    assert {quantity.canonical(legs) for legs in every} == _legs(name, 3)
