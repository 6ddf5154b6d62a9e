"""Functions and modules as activations: torch's and numpy's known ones, a user's own, and the check of them."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import cloudpickle
import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F
from torch import nn

import rgflow
from rgflow.activations.activation import MAX_ORDER
from rgflow.activations.detect import find_kinks, find_radius, find_slopes
from rgflow.activations.registered import names
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.depth.information import vertex_growth
from rgflow.theory.depth.single_input import single_input_theory
from rgflow.theory.initialization.tensors import RECURSIONS

KNOWN: list[tuple[Any, str]] = [
    (torch.tanh, "tanh"),
    (F.silu, "swish(beta=1.0)"),
    (nn.SiLU(), "swish(beta=1.0)"),
    (nn.SiLU, "swish(beta=1.0)"),
    (nn.ReLU(inplace=True), "relu"),
    (nn.LeakyReLU(0.2), "leaky_relu(slope=0.2)"),
    (partial(F.leaky_relu, negative_slope=0.2), "leaky_relu(slope=0.2)"),
    (nn.ELU(0.5), "elu(alpha=0.5)"),
    (nn.GELU(), "gelu"),
    (nn.Softplus(), "softplus"),
    (nn.Softplus(beta=2), "softplus(beta=2.0)"),
    (nn.Hardtanh(), "hard_tanh"),
    (nn.Identity(), "linear"),
    (nn.Mish(), "mish"),
    (torch.special.expit, "sigmoid"),
    (np.tanh, "tanh"),
    (scipy.special.erf, "erf"),
    (scipy.special.expit, "sigmoid"),
]
OTHER_NAMES = {
    "silu": "swish(beta=1.0)",
    "SiLU": "swish(beta=1.0)",
    "hardtanh": "hard_tanh",
    "LeakyReLU": "leaky_relu(slope=0.01)",
    "identity": "linear",
    "GELU": "gelu",
}
POINTS = np.linspace(-5.0, 5.0, 21) + 0.013


@pytest.mark.parametrize(("function", "label"), KNOWN, ids=[f"{n}-{label}" for n, (_, label) in enumerate(KNOWN)])
def test_known_functions_are_the_registered_activations(function: Any, label: str) -> None:
    found = activation(function)
    assert found.label == label
    assert found == Network(function, (1, 2, 1), 0, 1).activation
    if callable(function) and not isinstance(function, type):
        torch_values = function(torch.tensor(POINTS)) if not isinstance(function, np.ufunc) else function(POINTS)
        np.testing.assert_allclose(found(POINTS), torch_values, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", sorted(OTHER_NAMES))
def test_other_names(name: str) -> None:
    assert activation(name).label == OTHER_NAMES[name]


def test_settings_that_the_registered_ones_lack_are_differentiated() -> None:
    for module in (nn.GELU(approximate="tanh"), nn.Hardtanh(-2.0, 3.0), nn.Softplus(threshold=30.0).forward):
        own = activation(module)
        assert own.function is not None
        np.testing.assert_allclose(own(POINTS), module(torch.as_tensor(POINTS)), rtol=1e-14)
    assert activation(nn.Hardtanh(-2.0, 3.0)).kinks == (-2.0, 3.0)


OWN: list[tuple[Callable[..., Any], str]] = [
    (lambda z: z * torch.sigmoid(z), "swish"),
    (lambda z: torch.where(z > 0, z, torch.expm1(z)), "elu"),
    (lambda z: torch.maximum(z, 0.01 * z), "leaky_relu"),
    (lambda z: z.clamp(-1.0, 1.0), "hard_tanh"),
    (lambda z: 0.5 * z * (1 + torch.erf(z / math.sqrt(2.0))), "gelu"),
]


@pytest.mark.parametrize(("function", "name"), OWN, ids=[name for _, name in OWN])
def test_theory_of_a_function_is_that_of_the_registered_twin(function: Callable[..., Any], name: str) -> None:
    """Kinks, slopes and quadrature step are found, not declared."""
    own, twin = (Network(sigma, (2, 7, 5, 3), 0.2, 1.4, 0.3, 0.8) for sigma in (function, name))
    assert own.activation.kinks == twin.activation.kinks
    assert own.activation.slopes == twin.activation.slopes
    x = [[0.4, 1.3], [-0.7, 0.5]]
    theory, expected = (rgflow.initialization_theory(network, x) for network in (own, twin))
    for tensor in RECURSIONS:
        np.testing.assert_allclose(theory[tensor], expected[tensor], rtol=1e-7, atol=1e-9, err_msg=tensor)
    assert pytest.approx(rgflow.critical(name).C_W, rel=1e-9) == rgflow.critical(function).C_W
    draws = [
        rgflow.sample_initialization(network, x, members=2000, seed=1, tensors=["K", "Theta"])
        for network in (own, twin)
    ]
    np.testing.assert_allclose(draws[0]["K"][:, 0, 0], draws[1]["K"][:, 0, 0], rtol=0.2)


@pytest.mark.parametrize("steepness", [4.0, 10.0])
def test_steep_functions_are_resolved(steepness: float) -> None:
    """tanh(s z) with K is tanh with s^2 K, in the derivatives by powers of s."""
    s = steepness
    steep = single_input_theory(Network(lambda z: torch.tanh(s * z), (1, 1, 1), 0.3, 1.5, 0.2, 0.4), 1.0)
    plain = single_input_theory(
        Network("tanh", (1, 1, 1), [s**2 * 0.3, 0.3], [s**2 * 1.5, 1.5], 0.2 * s**2, 0.4 * s**2), 1.0
    )
    for name in ("K", "V"):
        assert steep[name][1] == pytest.approx(plain[name][1], rel=1e-9)
    rates = 0.2 - 0.2 * s**2 + (0.4 - 0.4 * s**2) * (plain["K"][1] - 0.3) / 1.5  # of the last layer's own parameters
    assert steep["Theta"][1] == pytest.approx(plain["Theta"][1] + rates, rel=1e-9)


@pytest.mark.parametrize("name", names())
def test_kinks_and_slopes_of_the_registered_are_found(name: str) -> None:
    sigma = activation(name)
    assert find_kinks(sigma.tower) == sigma.kinks
    assert find_slopes(sigma.tower, sigma.kinks) == sigma.slopes


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "swish", "gelu", "erf", "mish", "softplus"])
def test_radius_found_is_near_the_known_one(name: str) -> None:
    sigma = activation(name)
    assert 0.6 * sigma.quadrature_radius < find_radius(sigma.tower, ()) < 1.1 * sigma.quadrature_radius


def test_kinks_of_higher_derivatives_and_off_the_grid() -> None:
    assert activation(F.softsign).kinks == (0.0,)  # of the second derivative
    assert activation(lambda z: torch.abs(z - 0.3) ** 3).kinks == (0.3,)
    assert activation(F.relu6).kinks == (0.0, 6.0)
    assert activation(lambda z: torch.relu(z - 1 / 3)).kinks == pytest.approx((1 / 3,), abs=1e-15)
    assert activation(lambda z: torch.tanh(1000 * z)).kinks == ()


REFUSED: list[tuple[Any, str]] = [
    (3, "must be a name, a function or a torch module"),
    (np.round, r"round: .*; write it with torch's functions"),
    (lambda z: np.tanh(z) * z, "; write it with torch's functions"),
    (nn.Softmax(dim=-1), "must map a tensor elementwise"),
    (nn.PReLU(), "has trained parameters"),
    (nn.RReLU(), "must not be random"),
    (nn.Threshold, "give an instance, as it takes arguments"),
    (lambda z: z * z.detach(), "is not that of its values"),
    (lambda z: z.tanh_(), "changes its argument in place"),
    (F.hardsigmoid, "does not know its derivatives up to order 5"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_unusable_functions_are_one_clear_line(function: Any, message: str) -> None:
    with pytest.raises(RgflowError, match=message) as caught:
        Network(function, (1, 2, 1), 0, 1)
    assert "\n" not in str(caught.value)


def test_an_activation_without_derivatives_is_refused() -> None:
    with pytest.raises(RgflowError, match=r"rgflow\.activation\('gelu'\) looks a name up"):
        rgflow.Activation("gelu")


def softsign(z: torch.Tensor) -> torch.Tensor:
    return z / (1 + z.abs())


def test_identity_of_functions() -> None:
    assert activation(softsign) == activation(softsign)
    assert activation(softsign) != activation(lambda z: z / (1 + z.abs()))
    assert activation(softsign).label == "softsign"
    travelled = pickle.loads(pickle.dumps(activation(softsign)))
    assert travelled == activation(softsign)
    np.testing.assert_array_equal(
        travelled.derivatives(POINTS, MAX_ORDER), activation(softsign).derivatives(POINTS, MAX_ORDER)
    )
    assert pickle.loads(pickle.dumps(activation("softplus", beta=3.0))) == activation("softplus", beta=3.0)


def test_functions_without_a_module_reach_workers() -> None:
    """By the pickles that dask sends."""
    network = Network([lambda z: torch.tanh(z) ** 3, torch.tanh], (2, 4, 3, 2), 0.1, 1.2)
    travelled = cloudpickle.loads(cloudpickle.dumps(network))
    np.testing.assert_allclose(travelled.activation_of(1)(POINTS), np.tanh(POINTS) ** 3, rtol=1e-14)
    one, two = (rgflow.sample_initialization(net, [[0.3, 1.0]], members=2000, seed=3) for net in (network, travelled))
    assert one.identical(two)


@pytest.mark.parametrize("name", names())
def test_registered_activations_pass_the_check(name: str) -> None:
    check = rgflow.check_activation(name)
    assert check.passed, str(check)
    assert check.derivative_error < 1e-9
    assert check.kinks == check.kinks_found
    assert check.criticality is not None
    assert check.criticality.universality_class in str(check)


def declared(function: Callable[..., Any], **attributes: Any) -> Callable[..., Any]:
    vars(function).update(attributes)
    return function


@pytest.mark.parametrize(
    ("function", "remedy"),
    [
        (declared(lambda z: softsign(z), kinks=()), r"function\.kinks = \(0\.0,\)"),
        (declared(lambda z: torch.tanh(10 * z), analytic_radius=1.0), r"function\.analytic_radius = 0\.1"),
        (torch.exp, "grows faster than any power"),
    ],
)
def test_check_names_the_remedy(function: Callable[..., Any], remedy: str) -> None:
    check = rgflow.check_activation(function)
    assert not check.passed
    assert len(check.remedies) == 1
    with pytest.raises(AssertionError, match=remedy):
        raise AssertionError(str(check))


def test_check_prints_what_a_user_needs() -> None:
    text = str(rgflow.check_activation(softsign))
    for part in ("smooth       no", "kinks        0 (found: 0)", "bounded to the left", "K*=0", "C_W = 1", "ready"):
        assert part in text
    assert rgflow.check_activation("gelu").growth == pytest.approx((0.0, 1.0))


def test_vertex_growth_of_an_activation_that_is_linear_around_zero() -> None:
    """V/K^2 of hard_tanh grows by 2/3 a layer in the end: the slope tends there from below, within 1/ln(l)."""
    assert vertex_growth("hard_tanh") == pytest.approx(2 / 3)
    theory = single_input_theory(Network("hard_tanh", (1,) * 1701, 0.0, 1.0), 0.3)
    layers = np.array([200, 400, 800, 1600])
    distances = 2 / 3 - np.diff((theory["V"] / theory["K"] ** 2)[layers]) / np.diff(layers)
    assert (distances > 0).all()
    assert (np.diff(distances) < 0).all()
    assert (distances < 0.5 / np.log(layers[1:])).all()
