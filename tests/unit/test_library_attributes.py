"""Results of the library say what they are, as stored ones do: every variable has its long name and its equation."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import xarray as xr

import rgflow
from rgflow.task import Task
from rgflow.training.ensemble import train_block
from rgflow.variables.library import library

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

NETWORK = rgflow.Network("tanh", (3, 8, 8, 1), 0.0, 1.0, lambda_b=1.0, lambda_W=1.0)
TWO = rgflow.Network("tanh", (3, 8, 2), 0.0, 1.0)
SHALLOW, LINEAR = rgflow.Network("tanh", (3, 8, 1), 0.0, 1.0), rgflow.Network("linear", (3, 8, 8, 1), 0.0, 1.0)
X, Y, NEW = np.eye(3)[:2], np.array([[1.0], [-1.0]]), np.eye(3)[2:]
TRAINED: Mapping[str, Any] = {"members": 16, "steps": 2, "seed": 1}


def _block(learning_rate: float) -> xr.Dataset:
    spec = rgflow.TrainingSpec(seed=1, learning_rate=learning_rate, steps=(0, 2), members=16)
    return train_block(NETWORK, Task(X, Y, NEW), spec, range(16))


CALLS: Mapping[str, Callable[[], xr.Dataset]] = {
    "initialization_theory": lambda: rgflow.initialization_theory(NETWORK, X),
    "finite_width_tensors": lambda: rgflow.finite_width_tensors(NETWORK, X, nodes=256),
    "infinite_width_theory": lambda: rgflow.infinite_width_theory(NETWORK, X),
    "dntk_theory": lambda: rgflow.dntk_theory(NETWORK, X),
    "bayes_theory": lambda: rgflow.bayes_theory(NETWORK, X, Y, NEW, noise=0.1),
    "evidence_map": lambda: rgflow.evidence_map("tanh", X, Y, C_b=[0.0], C_W=[1.0, 1.2], depth=[2], noise=0.1),
    "linear_posterior": lambda: rgflow.linear_posterior(LINEAR, X, Y, NEW, noise=0.1),
    "one_hidden_layer_posterior": lambda: rgflow.one_hidden_layer_posterior(SHALLOW, X, Y, X[:1] + X[1:], noise=0.1),
    "training_theory": lambda: rgflow.training_theory(NETWORK, X, Y, NEW, steps=[0, 1]),
    "generalization": lambda: rgflow.generalization(
        {2: rgflow.training_theory(NETWORK, X, Y, NEW, steps=[0, 1], test_targets=np.ones((1, 1)))}, [8, 16]
    ),
    "sample_initialization": lambda: rgflow.sample_initialization(NETWORK, X, members=2000, seed=1),
    "sample_dntk": lambda: rgflow.sample_dntk(TWO, X, members=2000, seed=1),
    "sample_posterior": lambda: rgflow.sample_posterior(NETWORK, X, Y, NEW, noise=0.1, islands=4, particles=16, seed=1),
    "training_difference": lambda: rgflow.training_difference([_block(0.05)], [_block(0.1)]),
    "train_ensemble": lambda: rgflow.train_ensemble(NETWORK, X, Y, NEW, **TRAINED),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_variable_says_what_it_is(name: str) -> None:
    result = CALLS[name]()
    assert result.data_vars
    for variable, array in result.data_vars.items():
        assert array.attrs["long_name"] == library().lookup(str(variable)).long_name
        assert "equation" in array.attrs


def test_all_results_are_tried() -> None:
    assert set(CALLS) == rgflow._RESULTS


def test_public_functions_can_be_pickled_and_keep_their_signature() -> None:
    again = pickle.loads(pickle.dumps(rgflow.initialization_theory))
    assert again is rgflow.initialization_theory
    assert rgflow.initialization_theory.__doc__
