"""The Network value: normalization, identity and the one-line errors."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.network import Network


def test_scalars_become_one_value_per_layer() -> None:
    network = Network("tanh", (3, 4, 5, 2), C_b=0, C_W=1.5)
    assert network.depth == 3
    assert network.C_b == (0.0, 0.0, 0.0)
    assert network.C_W == (1.5, 1.5, 1.5)
    assert (network.lambda_b, network.lambda_W) == ((0.0,) * 3, (1.0,) * 3)


def test_numpy_input_gives_plain_python_values() -> None:
    network = Network("tanh", np.array([3, 4, 2]), C_b=np.array([0.1, 0.2]), C_W=np.float64(2.0))
    assert network.widths == (3, 4, 2)
    assert all(type(width) is int for width in network.widths)
    assert network.C_b == (0.1, 0.2)
    assert all(type(value) is float for value in network.C_W)


def test_values_may_come_one_by_one() -> None:
    one_by_one = Network("tanh", (n for n in (3, 4, 1)), iter([0.1, 0.2]), (value for value in (1.0, 1.5)))
    assert one_by_one == Network("tanh", (3, 4, 1), (0.1, 0.2), (1.0, 1.5))


def test_ratio_is_width_over_previous_width() -> None:
    network = Network("relu", (2, 8, 4, 1), 0.0, 2.0)
    assert [network.ratio(layer) for layer in (1, 2, 3)] == [4.0, 0.5, 0.25]


def test_equal_networks_are_equal_keys() -> None:
    by_name = Network("leaky_relu", (2, 3, 1), 0.0, 2.0)
    by_value = Network(activation("leaky_relu"), [2, 3, 1], [0.0, 0.0], [2.0, 2.0])
    assert by_name == by_value
    assert hash(by_name) == hash(by_value)
    assert by_name != Network(activation("leaky_relu", slope=0.3), (2, 3, 1), 0.0, 2.0)


def test_frozen_but_replaceable() -> None:
    network = Network("relu", (2, 3, 1), 0.0, 2.0)
    with pytest.raises(FrozenInstanceError):
        network.widths = (1, 1)  # type: ignore[misc]
    assert replace(network, widths=(2, 30, 1)).widths == (2, 30, 1)


def test_residual_networks_scale_all_hyperparameters_but_those_of_the_first_layer() -> None:
    network = Network("relu", (2, 3, 3), 0.5, [2.0, 3.0], [0.1, 0.2], 1.0, xi_1=2.0, xi_2=0.7)
    assert network.architecture.name == "residual"
    assert network.hyperparameters(1) == (0.5, 2.0, 0.1, 1.0)
    assert network.hyperparameters(2) == (2.0, 12.0, 0.8, 4.0)
    assert replace(network, widths=(2, 5, 5)).xi_2 == 0.7
    assert network != replace(network, xi_2=0.0)


def test_plain_networks_may_have_any_widths() -> None:
    plain = Network("relu", (2, 3, 1), 0.5, 2.0, xi_1=1.0, xi_2=0.0)
    assert plain == Network("relu", (2, 3, 1), 0.5, 2.0)
    assert plain.architecture.name == "plain"
    plain.require_plain("anything")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": (3,)}, "at least"),
        ({"widths": (3, 0, 1)}, "all positive"),
        ({"widths": (3, 2.5, 1)}, "integers"),
        ({"widths": 3}, "integers"),
        ({"C_W": -1.0}, "C_W at layer 1 is -1.0"),
        ({"C_W": (1.0, 0.0)}, "C_W at layer 2 is 0"),
        ({"C_W": float("nan")}, "finite"),
        ({"C_b": (0.0, -0.1)}, "C_b at layer 2"),
        ({"C_b": (0.0, 0.1, 0.2)}, "C_b has 3 values for 2 layers"),
        ({"lambda_W": float("inf")}, "lambda_W"),
        ({"lambda_b": -1.0}, "lambda_b"),
        ({"lambda_b": "much"}, "number"),
        ({"activation": "tahn"}, "tanh"),
        ({"xi_1": 0.0}, "xi_1 = 0.0; it must be positive"),
        ({"xi_2": float("nan")}, "xi_2 = nan; it must be a finite number"),
        ({"xi_2": "much"}, "xi_2 = 'much'; it must be a finite number"),
        ({"xi_2": 0.5}, r"widths = \(3, 4, 1\); a residual network needs n_1 = ... = n_L"),
    ],
)
def test_bad_values_are_one_clear_line(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"activation": "tanh", "widths": (3, 4, 1), "C_b": 0.0, "C_W": 1.0} | change
    with pytest.raises(RgflowError, match=message) as caught:
        Network(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
