"""The public names: all load, all are documented, and those of the chapters give the book's numbers."""

from __future__ import annotations

import inspect
from types import ModuleType

import numpy as np
import pytest

import rgflow
from rgflow.errors import RgflowError

MODULES = ("wick", "action", "flow", "information")


@pytest.mark.parametrize("name", rgflow.__all__)
def test_every_public_name_loads_and_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(rgflow, name))


@pytest.mark.parametrize("name", MODULES)
def test_functions_of_public_modules_are_documented(name: str) -> None:
    module = getattr(rgflow, name)
    assert isinstance(module, ModuleType)
    assert f"rgflow.{name}" in (module.__doc__ or "")
    own = [
        value for value in vars(module).values() if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    assert all(function.__doc__ for function in own if not function.__name__.startswith("_"))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        rgflow.nothing  # noqa: B018


def test_one_example_of_each_chapter() -> None:
    K = np.array([[1.0, 0.5], [0.5, 2.0]])
    assert rgflow.wick.wick_moment(K, (0, 0, 1, 1)) == pytest.approx(1.0 * 2.0 + 2 * 0.5**2)
    couplings = rgflow.action.couplings(1.0, 2.0, width=1e4, neurons=1)
    G, V = rgflow.action.correlators(couplings)
    assert (float(G[0, 0]), float(V[0, 0, 0, 0])) == pytest.approx((1.0, 2e-4), rel=2e-3)
    assert rgflow.flow.angle(np.eye(2)) == pytest.approx(np.pi / 2)
    nu = rgflow.information.vertex_growth("relu")
    assert rgflow.information.optimal_aspect_ratio(nu, outputs=1) == pytest.approx(4 / (23 * 5))
    coefficients = rgflow.wick.hermite_coefficients("relu", 1.0, 400)
    assert rgflow.wick.mehler_sum(coefficients, coefficients, 0.0) == pytest.approx(1 / (2 * np.pi))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rgflow.wick.wick_moment(np.eye(2), (0, 2)), r"indices = \[0, 2\]; allowed: 0 to 1"),
        (lambda: rgflow.wick.gaussian_moment(np.ones(2), 4), r"K has shape \(2,\); allowed: \(N, N\)"),
        (lambda: rgflow.wick.hermite_coefficients("rleu", 1.0, 3), "did you mean 'relu'"),
    ],
)
def test_bad_input_is_one_line(call, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        call()


@pytest.mark.parametrize(
    "name", [name for name in rgflow.__all__ if name.endswith(("_theory", "_tensors", "_map")) or "sample_" in name]
)
def test_results_of_theory_and_experiment_name_their_chapter(name: str) -> None:
    assert "chapter" in (inspect.getdoc(getattr(rgflow, name)) or "")
