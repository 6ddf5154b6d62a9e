"""Plain and residual as values of one interface, and a third that a test makes up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import rgflow
from rgflow.architectures.architecture import Architecture
from rgflow.architectures.plain import Plain
from rgflow.architectures.residual import Residual, architecture_of
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.sampling.estimators import ESTIMATORS
from rgflow.tensors import TENSORS
from rgflow.theory.criticality.critical import critical
from rgflow.theory.initialization.tensors import ARCHITECTURES
from rgflow.variables.initialization import VARIABLES


def test_strengths_choose_the_architecture() -> None:
    assert architecture_of(1.0, 0.0) == Plain()
    assert architecture_of(0.8, 0.0) == Residual(0.8, 0.0)
    assert Network("relu", (2, 3, 3), 0, 2, xi_2=0.5).architecture == Residual(1.0, 0.5)
    assert Network("relu", (2, 3, 4), 0, 2).architecture == Plain()
    assert Residual(0.8, 0.5).strengths == {"xi_1": 0.8, "xi_2": 0.5}
    assert (Plain().label, Residual(0.8, 0.5).label) == ("plain", "xi_1 = 0.8, xi_2 = 0.5")


def test_a_residual_layer_with_the_strengths_of_a_plain_one_is_plain() -> None:
    plain, residual = Plain(), Residual(1.0, 0.0)
    branch, below = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    for architecture in (plain, residual):
        np.testing.assert_array_equal(architecture.add_skip(branch, below), branch)
        np.testing.assert_array_equal(architecture.add_skip_to_pair(branch, below), branch)
        assert architecture.hyperparameters(2, (0.1, 2.0, 0.3, 0.4)) == (0.1, 2.0, 0.3, 0.4)
        assert architecture.critical_scales() == (1.0, 1.0)


def test_skip_connections_add_their_strength_and_its_square() -> None:
    residual = Residual(0.5, -0.6)
    assert residual.add_skip(1.0, 2.0) == pytest.approx(-0.2)
    assert residual.add_skip_to_pair(1.0, 2.0) == pytest.approx(1.72)
    assert residual.hyperparameters(1, (0.1, 2.0, 0.3, 0.4)) == (0.1, 2.0, 0.3, 0.4)
    assert residual.hyperparameters(2, (0.1, 2.0, 0.3, 0.4)) == pytest.approx((0.025, 0.5, 0.075, 0.1))
    assert residual.critical_scales() == pytest.approx((0.64, 2.56))
    assert pytest.approx(2.56 * critical("gelu").C_W) == critical("gelu").of(residual).C_W


@dataclass(frozen=True)
class Halved(Architecture):
    """Both strengths one half: nothing in the package knows it."""

    name = "halved"
    scale = skip = 0.5
    alike = False
    equal_widths = True
    strengths = {}  # noqa: RUF012 (a constant of the class)


def test_what_is_not_known_of_an_architecture_is_one_line() -> None:
    for table, what in ((ARCHITECTURES, "finite-width theory"), (ESTIMATORS, "sampling")):
        with pytest.raises(RgflowError, match=f"^halved: {what} needs a plain or residual network$"):
            Halved().choose(table, what)
    with pytest.raises(RgflowError, match=r"widths = \(2, 3, 4\); a halved network needs n_1 = ... = n_L"):
        Halved().check_widths((2, 3, 4))
    assert Halved().critical_scales() == (0.75, 3.0)


def test_records_are_what_the_rooms_know() -> None:
    """Recursions, estimators and stored variables of exactly the tensors whose records say so."""
    for architecture, (recursions, _) in ARCHITECTURES.items():
        known = {name for name, tensor in TENSORS.items() if architecture in tensor.architectures}
        assert set(recursions) == {name for name in known if TENSORS[name].chapter == "initialization"}
        for name, recursion in recursions.items():
            assert recursion.legs == TENSORS[name].legs
            assert set(recursion.reads) <= set(recursions)
        assert not set(ESTIMATORS[architecture]) & {n for n, t in TENSORS.items() if architecture in t.vanishes_in}
    stored = {variable.name: variable.dims for variable in VARIABLES}
    for name, tensor in TENSORS.items():
        assert stored[name] == tensor.dims
        assert tensor.next_order is None or tensor.next_order in TENSORS
        assert all(sorted(permutation) == list(range(tensor.legs)) for permutation in tensor.symmetries)


def test_symmetries_of_the_records_are_those_of_theory() -> None:
    x = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
    plain = Network("gelu", (3, 5, 7, 4), 0.2, 1.3, 0.3, 0.8)
    residual = Network("gelu", (3, 5, 5, 5), 0.2, 1.3, 0.3, 0.8, 0.7, 0.9)
    checked = set()
    for theory in (
        rgflow.initialization_theory(residual, x),
        rgflow.initialization_theory(plain, x),
        rgflow.dntk_theory(plain, x),
    ):
        for name in set(theory) & set(TENSORS):
            values = theory[name].values[-1]
            for permutation in TENSORS[name].symmetries:
                np.testing.assert_allclose(values.transpose(permutation), values, rtol=1e-9, atol=1e-12, err_msg=name)
            others = {(1, 0, 2, 3), (0, 1, 3, 2), (2, 3, 0, 1)} - _products(TENSORS[name].symmetries)
            for permutation in others if values.ndim == 4 else ():
                assert not np.allclose(values.transpose(permutation), values, rtol=1e-6), (name, permutation)
            checked.add(name)
    assert checked == set(TENSORS) - {"V6"}


def _products(generators: tuple[tuple[int, ...], ...]) -> set[tuple[int, ...]]:
    """The group that the generators make."""
    group = set(generators)
    while grown := {tuple(a[i] for i in b) for a in group for b in group} - group:
        group |= grown
    return group
