"""All tensors at initialization: published numbers, closed solutions, the dense oracle, symmetries and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from dense_reference import dense_theory

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization.tensors import RECURSIONS, initialization_theory

GELU_C_B, GELU_C_W = 0.17292239075606735, 1.9830582574375471
GELU_K_STAR = (3.0 + np.sqrt(17.0)) / 2.0
TWO_INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1]])
THREE_INPUTS = np.array([[0.6, -0.9, 0.4], [-0.2, 0.5, 1.1], [0.8, 0.3, -0.5]])


def unequal(activation: str, depth: int = 4, C_b: float = 0.1, C_W: float = 0.9) -> Network:
    """A network whose widths and hyperparameters all differ, so that none can be confused."""
    layers = np.arange(depth)
    return Network(
        activation,
        (3, 12, 20, 8, 16, 9)[: depth + 1],
        C_b=C_b + 0.05 * layers,
        C_W=C_W + 0.1 * layers,
        lambda_b=0.3 + 0.1 * layers,
        lambda_W=0.8 - 0.15 * layers,
    )


def scalar(theory: xr.Dataset, name: str) -> Any:
    """A tensor of one input, over layers."""
    return theory[name].to_numpy().reshape(theory.sizes["layer"])


@pytest.mark.parametrize(
    ("activation", "C_W", "r"), [("linear", 1.0, 1.0), ("relu", 2.0, 2.0), ("leaky_relu", None, None)]
)
def test_scale_invariant_closed_solution(activation: str, C_W: float | None, r: float | None) -> None:
    slope = 0.01  # of the registered leaky_relu
    C_W = C_W or 2.0 / (1.0 + slope**2)
    r = r or 2.0 * (1.0 + slope**4) / (1.0 + slope**2) ** 2
    lambda_b, lambda_W, K = 0.7, 1.3, 1.5
    network = Network(activation, (1, *[10] * 30), 0.0, C_W, lambda_b, lambda_W)
    theory = initialization_theory(network, [[np.sqrt(K / C_W)]])
    n, v = np.arange(1, 31), 3.0 * r - 1.0
    # lambda_W A_2 K = lambda_W K / C_W
    w = lambda_W * K / C_W
    T = lambda_b + w
    linear, cubic = n * (n - 1) / 2, (n - 1) * n * (2 * n - 1) / 6
    expected = {
        "K": K + 0 * n,
        "Theta": T * n,
        "V": v * (n - 1) * K**2,
        "F": r * K * T * linear,
        "B": r * T**2 * cubic,
        "D": K * (w * v + (r - 1) * T) * linear,
        "A": (w**2 * v + w * (r - 1) * T + (r - 1) * T**2) * cubic + w * (r - 1) * T * linear,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(scalar(theory, name), values, rtol=1e-11, atol=1e-11, err_msg=name)
    np.testing.assert_allclose(scalar(theory, "G1"), 0.0, atol=1e-12)
    np.testing.assert_allclose(scalar(theory, "Theta1"), 0.0, atol=1e-12)


@pytest.mark.parametrize(("activation", "C_W", "v"), [("linear", 1.0, 2.0), ("relu", 2.0, 5.0)])
def test_unequal_widths_add_inverse_widths(activation: str, C_W: float, v: float) -> None:
    widths = (2, 30, 10, 50, 20, 7)
    theory = initialization_theory(Network(activation, widths, 0.0, C_W), [[0.3, 1.4]], tensors=["K", "V"])
    ratio = scalar(theory, "V") / scalar(theory, "K") ** 2 / np.array(widths[:-1])
    np.testing.assert_allclose(ratio, v * np.cumsum([0.0, *1.0 / np.array(widths[1:-1])]), rtol=1e-12)


def test_tanh_table() -> None:
    theory = initialization_theory(Network("tanh", (1, *[10] * 100), 0.0, 1.0), [[1.0]], tensors=("K", "V", "G1"))
    K, V = scalar(theory, "K"), scalar(theory, "V")
    np.testing.assert_allclose(K[[9, 99]], [0.0580118478, 0.0051207157], atol=1e-10)
    np.testing.assert_allclose((V / K**2)[[9, 99]], [5.52352424, 64.80395596], rtol=2e-9)
    # V/K^2 -> 2l/3 and G1/K -> -l/3
    assert (scalar(theory, "G1") / K)[99] == pytest.approx(-100 / 3, rel=0.1)


def test_gelu_at_its_half_stable_point() -> None:
    network = Network("gelu", (1, *[10] * 10), GELU_C_B, GELU_C_W)
    x = np.sqrt((GELU_K_STAR - GELU_C_B) / GELU_C_W)
    theory = initialization_theory(network, [[x]])
    np.testing.assert_allclose(scalar(theory, "K"), GELU_K_STAR, rtol=1e-12)
    assert (scalar(theory, "V") / scalar(theory, "K") ** 2)[9] == pytest.approx(44.13803586, rel=1e-9)


def test_published_gelu_ntk() -> None:
    inputs = [
        [0.65402488, -1.35927887, -0.37911793, 0.34191025],
        [-0.67864031, -0.12161214, 0.21716373, -1.47090636],
    ]
    theory = initialization_theory(Network("gelu", (4, 50, 50, 50, 1), 0.0, 1.98305826), inputs)
    last = theory.isel(layer=-1)
    np.testing.assert_allclose(last["Theta"][0], [1.749268, 0.176856], atol=6e-7)
    np.testing.assert_allclose(last["Theta1"][0], [1.4143, -0.3246], atol=6e-5)


@pytest.mark.parametrize(("activation", "inputs"), [("tanh", TWO_INPUTS), ("gelu", TWO_INPUTS)])
@pytest.mark.parametrize("depth", [2, 3, 4])
def test_all_tensors_match_the_dense_oracle(activation: str, inputs: Any, depth: int) -> None:
    network = unequal(activation, depth)
    assert_matches_oracle(initialization_theory(network, inputs), dense_theory(network, inputs))


def test_three_inputs_match_the_dense_oracle() -> None:
    network = unequal("tanh", depth=3, C_b=0.1, C_W=0.6)
    assert_matches_oracle(initialization_theory(network, THREE_INPUTS), dense_theory(network, THREE_INPUTS))


def assert_matches_oracle(theory: xr.Dataset, expected: dict[str, Any]) -> None:
    last = theory.isel(layer=-1)
    for name, values in expected.items():
        np.testing.assert_allclose(last[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu", "leaky_relu"])
def test_symmetries(activation: str) -> None:
    theory = initialization_theory(unequal(activation, depth=3), TWO_INPUTS).isel(layer=-1)
    slots = {
        "K": ["ba"],
        "Theta1": ["ba"],
        "V": ["bacd", "abdc", "cdab"],
        "A": ["bacd", "abdc", "cdab"],
        "D": ["bacd", "abdc"],
        "F": ["cdab"],  # two different neurons exchanged
        "B": ["badc", "cdab"],  # the two NTKs, the two neurons
    }
    for name, orders in slots.items():
        values = theory[name].to_numpy()
        for order in orders:
            exchanged = np.einsum(f"{order}->{''.join(sorted(order))}", values)
            np.testing.assert_allclose(values, exchanged, rtol=1e-9, atol=1e-12, err_msg=f"{name} {order}")
    assert not np.allclose(theory["D"], np.einsum("cdab->abcd", theory["D"]))


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
@pytest.mark.parametrize(
    "samples",
    [pytest.param([1, 0], id="relabelled"), pytest.param([0, 1, 0], id="repeated"), pytest.param([1], id="subset")],
)
def test_tensors_depend_on_their_own_inputs_only(activation: str, samples: list[int]) -> None:
    network = unequal(activation, depth=3)
    both = initialization_theory(network, TWO_INPUTS)
    chosen = initialization_theory(network, TWO_INPUTS[samples])
    for name in RECURSIONS:
        expected = both[name].to_numpy()[np.ix_(range(3), *[samples] * (both[name].ndim - 1))]
        np.testing.assert_allclose(chosen[name], expected, rtol=1e-8, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_parallel_inputs_scale(activation: str) -> None:
    """Without biases a scale-invariant network maps 2x to 2z: every leg of a preactivation or a weight NTK doubles."""
    network = Network(activation, (2, 9, 7, 5), 0.0, 1.7, 0.0, 0.6)
    last = initialization_theory(network, [[0.3, 1.0], [0.6, 2.0]]).isel(layer=-1)
    for name in RECURSIONS:
        values = last[name].to_numpy()
        origin = values[(0,) * values.ndim]
        doubled = np.array(origin * np.fromfunction(lambda *legs: 2.0 ** sum(legs), values.shape))
        np.testing.assert_allclose(values, doubled, rtol=1e-9, atol=1e-11, err_msg=name)


def test_more_inputs_than_features_give_the_pairwise_result() -> None:
    """Three inputs in two dimensions without bias: K has rank two."""
    inputs = np.array([[1.0, 0.2], [-0.3, 0.9], [0.4, 0.5]])
    network = Network("tanh", (2, 9, 7, 5), 0.0, 1.2)
    theory = initialization_theory(network, inputs)
    pair = initialization_theory(network, inputs[[0, 2]])
    for name in RECURSIONS:
        sub = theory[name].to_numpy()[np.ix_(range(3), *[[0, 2]] * (theory[name].ndim - 1))]
        np.testing.assert_allclose(sub, pair[name], rtol=1e-9, atol=1e-12, err_msg=name)


def test_only_ratios_of_widths_enter() -> None:
    narrow = initialization_theory(unequal("tanh"), TWO_INPUTS)
    network = unequal("tanh")
    wide = Network(
        network.activation,
        (3, *(100 * n for n in network.widths[1:])),
        network.C_b,
        network.C_W,
        network.lambda_b,
        network.lambda_W,
    )
    xr.testing.assert_allclose(narrow, initialization_theory(wide, TWO_INPUTS), rtol=1e-12)


@pytest.mark.parametrize("name", list(RECURSIONS))
def test_one_tensor_alone_equals_the_full_result(name: str) -> None:
    network = unequal("gelu", depth=3)
    alone = initialization_theory(network, TWO_INPUTS, tensors=[name])
    assert set(alone.data_vars) == {name, "quadrature_error"}
    full = initialization_theory(network, TWO_INPUTS)
    np.testing.assert_allclose(alone[name], full[name], rtol=1e-9, atol=1e-15)


def test_kernels_of_many_inputs_need_no_quartics() -> None:
    inputs = np.random.default_rng(1).normal(size=(60, 4))
    theory = initialization_theory(Network("relu", (4, 8, 8), 0.0, 2.0), inputs, tensors=["K", "Theta"])
    assert theory["Theta"].shape == (2, 60, 60)


def test_labels() -> None:
    theory = initialization_theory(unequal("tanh", depth=2), TWO_INPUTS)
    assert theory["D"].dims == ("layer", "sample_1", "sample_2", "sample_3", "sample_4")
    assert theory["layer"].to_numpy().tolist() == [1, 2]
    assert theory["sample_4"].to_numpy().tolist() == [0, 1]
    assert theory["quadrature_error"].dims == ("layer",)
    assert float(theory["quadrature_error"].max()) <= 1e-10


def test_named_dimensions_come_in_any_order() -> None:
    network = unequal("tanh", depth=2)
    named = xr.DataArray(TWO_INPUTS.T, dims=("feature", "sample"))
    xr.testing.assert_identical(initialization_theory(network, named), initialization_theory(network, TWO_INPUTS))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([1.0, 2.0, 3.0], r"shape \(3,\)"),
        ([[1.0, 2.0]], "3 features"),
        (np.zeros((0, 3)), r"shape \(0, 3\)"),
        ([[1.0, 2.0, 3.0], [1.0, float("nan"), 3.0]], r"inputs\[1, 1\] = nan"),
        ([["a", "b", "c"]], "strings where real numbers are needed"),
    ],
)
def test_bad_inputs_are_one_clear_line(inputs: Any, message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        initialization_theory(unequal("tanh"), inputs)


def test_unknown_tensor_lists_the_known() -> None:
    with pytest.raises(RgflowError, match=r"allowed are K, G1, V, Theta, Theta1, D, F, A, B"):
        initialization_theory(unequal("tanh"), TWO_INPUTS, tensors=["Q"])


def test_overflow_names_tensor_and_layer() -> None:
    network = Network("relu", (1, *[10] * 60), 0.0, 1e8)
    with pytest.raises(RgflowError, match=r"(\w+) is not finite at layer (\d+)"):
        initialization_theory(network, [[1.0]])


def test_one_layer_is_the_first_kernel() -> None:
    theory = initialization_theory(Network("gelu", (3, 4), 0.1, 1.5, 0.2, 0.7), TWO_INPUTS)
    np.testing.assert_allclose(theory["K"][0], 0.1 + 0.5 * TWO_INPUTS @ TWO_INPUTS.T, rtol=1e-14)
    np.testing.assert_array_equal(theory["F"], 0.0)
    assert theory.sizes["layer"] == 1
