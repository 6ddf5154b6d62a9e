"""Activations: values, derivatives, kinks and analytic data against mpmath and finite differences."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys

import mpmath
import numpy as np
import pytest
import torch

from rgflow.activations.activation import MAX_ORDER
from rgflow.activations.registered import names
from rgflow.activations.registry import activation
from rgflow.errors import RgflowError

POINTS = np.linspace(-6.0, 6.0, 25) + 0.013  # none of them a kink
REFERENCE = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
    "swish": lambda z: z / (1 + mpmath.exp(-z)),
    "mish": lambda z: z * mpmath.tanh(mpmath.log1p(mpmath.exp(z))),
    "gelu": lambda z: z * mpmath.ncdf(z),
    "erf": mpmath.erf,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "snake": lambda z: z + mpmath.sin(z) ** 2,
    "monomial": lambda z: z**2,
    "linear": lambda z: z,
}
PIECEWISE = {
    "relu": lambda z: max(z, 0.0),
    "leaky_relu": lambda z: max(z, 0.01 * z),
    "perceptron": lambda z: float(z >= 0),
    "hard_tanh": lambda z: min(1.0, max(-1.0, z)),
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
}


def test_every_registered_activation_has_a_reference() -> None:
    assert set(names()) == set(REFERENCE) | set(PIECEWISE)


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_smooth_derivatives_match_high_precision(name: str) -> None:
    act = activation(name)
    with mpmath.workdps(60):
        for z in (-3.1, 0.7):
            exact = [float(mpmath.diff(REFERENCE[name], z, p, h=mpmath.mpf("1e-8"))) for p in range(MAX_ORDER + 1)]
            np.testing.assert_allclose(act.derivatives(z, MAX_ORDER), exact, rtol=2e-13, atol=1e-14)


@pytest.mark.parametrize("name", sorted(PIECEWISE))
def test_piecewise_values_and_derivatives(name: str) -> None:
    act = activation(name)
    np.testing.assert_allclose(act(POINTS), [PIECEWISE[name](z) for z in POINTS], rtol=1e-15)
    for p in range(1, MAX_ORDER + 1):
        slope = (act.derivative(POINTS + 1e-5, p - 1) - act.derivative(POINTS - 1e-5, p - 1)) / 2e-5
        np.testing.assert_allclose(act.derivative(POINTS, p), slope, atol=1e-9)


@pytest.mark.parametrize("name", names())
def test_torch_agrees_with_numpy_and_keeps_the_type(name: str) -> None:
    act = activation(name)
    for p, (ours, theirs) in enumerate(
        zip(act.derivatives(POINTS, MAX_ORDER), act.derivatives(torch.as_tensor(POINTS), MAX_ORDER), strict=True)
    ):
        np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-12, atol=1e-14, err_msg=f"order {p}")
    single = torch.as_tensor(POINTS, dtype=torch.float32)
    assert all(part.dtype == torch.float32 for part in (act(single), *act.value_and_derivative(single)))


@pytest.mark.parametrize("name", names())
def test_value_and_derivative_is_the_tower(name: str) -> None:
    act = activation(name)
    for z in (POINTS, torch.as_tensor(POINTS)):
        value, slope = act.value_and_derivative(z)
        np.testing.assert_allclose(value, act(z), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(slope, act.derivative(z, 1), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", names())
def test_far_arguments_stay_finite(name: str) -> None:
    far = np.array([-1e8, -1e3, -50.0, 50.0, 1e3, 1e8])
    assert all(np.all(np.isfinite(part)) for part in activation(name).derivatives(far, MAX_ORDER))


@pytest.mark.parametrize("name", [name for name in names() if activation(name).in_place])
def test_in_place_activations_are_the_value_and_its_derivative(name: str) -> None:
    act, z = activation(name), torch.as_tensor(POINTS)
    value, slope = act.value_and_derivative(z)
    overwritten = z.clone()
    assert act.in_place is not None
    assert act.in_place.value(overwritten).data_ptr() == overwritten.data_ptr()
    torch.testing.assert_close(overwritten, value)
    torch.testing.assert_close(act.in_place.slope(overwritten), slope, rtol=1e-12, atol=1e-14)


def test_tails_keep_relative_accuracy() -> None:
    z = -30.0
    with mpmath.workdps(40):
        tails = {"sigmoid": mpmath.exp(z) / (1 + mpmath.exp(z)), "gelu": z * mpmath.ncdf(z)}
        slope = mpmath.sech(z) ** 2
    for name, exact in tails.items():
        assert float(activation(name)(z)) == pytest.approx(float(exact), rel=1e-12)
    assert float(activation("tanh").derivative(z, 1)) == pytest.approx(float(slope), rel=1e-12)


def test_kinks_slopes_and_radii() -> None:
    assert activation("relu").kinks == (0.0,)
    assert activation("relu").slopes == (0.0, 1.0)
    assert activation("relu").derivative(0.0, 1) == 0.0
    assert activation("leaky_relu", slope=0.2).slopes == (0.2, 1.0)
    assert activation("linear").slopes == (1.0, 1.0)
    assert activation("hard_tanh").kinks == (-1.0, 1.0)
    assert activation("perceptron").slopes is None
    assert activation("tanh").analytic_radius == pytest.approx(math.pi / 2)
    assert activation("swish", beta=2.0).analytic_radius == pytest.approx(math.pi / 2)
    assert activation("gelu").analytic_radius == math.inf


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "swish", "mish"])
def test_analytic_radius_is_that_of_the_nearest_singularity(name: str) -> None:
    """Taylor coefficients of f at 0 are those of the singularities: |f^(p)/p!|^(-1/p) tends to the radius."""
    with mpmath.workdps(60):
        coefficients = mpmath.taylor(REFERENCE[name], 0, 80)
        nearest = min(abs(c) ** (-mpmath.mpf(1) / p) for p, c in enumerate(coefficients) if p > 60 and abs(c) > 1e-60)
    distance = {"mish": abs(complex(math.log(2) / 2, 0.75 * math.pi))}.get(name, activation(name).analytic_radius)
    assert float(nearest) == pytest.approx(distance, rel=0.06)


def test_taylor_data() -> None:
    assert activation("tanh").taylor == pytest.approx((0, 1, 0, -2, 0, 16))
    assert activation("sin").taylor == pytest.approx((0, 1, 0, -1, 0, 1))
    assert activation("gelu").taylor == pytest.approx((0, 0.5, 0.7978845608028654, 0, -1.5957691216057308, 0))
    assert activation("relu").taylor is None


def test_labels_parameters_and_identity() -> None:
    act = activation("leaky_relu", slope=0.2)
    assert act.label == "leaky_relu(slope=0.2)"
    assert act.parameters == {"slope": 0.2}
    assert activation("gelu").label == "gelu"
    assert activation(act) is act
    assert pickle.loads(pickle.dumps(act)) == act
    assert len({act, activation("leaky_relu", slope=0.2), activation("leaky_relu", slope=0.3)}) == 2


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("rleu", {}, "did you mean 'relu'"),
        ("relu", {"slope": 0.1}, "unknown parameter 'slope'"),
        ("leaky_relu", {"slope": math.nan}, "allowed: a number"),
        ("swish", {"beta": -1.0}, "> 0"),
        ("monomial", {"power": 1.5}, "integer"),
        ("nowhere/file.py:function", {}, "no file"),
    ],
)
def test_bad_requests_are_one_clear_line(name: str, parameters: dict[str, float], message: str) -> None:
    with pytest.raises(RgflowError, match=message) as caught:
        activation(name, **parameters)
    assert "\n" not in str(caught.value)


def test_derivative_order_out_of_range() -> None:
    with pytest.raises(RgflowError, match="allowed: 0 to 5"):
        activation("tanh").derivative(0.0, 6)


USER_FILE = """
import torch

def tanh_times(z, factor=1.0):
    return factor * torch.tanh(z)

tanh_times.analytic_radius = 1.5707963267948966

def kinked(z):
    return torch.where(z > 0, z, 0.1 * z)

kinked.kinks = (0.0,)

def wrong_shape(z):
    return z.sum()
"""


def test_user_activation_is_differentiated(tmp_path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    mine, reference = activation(f"{path}:tanh_times", factor=2.0), activation("tanh")
    for ours, exact in zip(mine.derivatives(POINTS, MAX_ORDER), reference.derivatives(POINTS, MAX_ORDER), strict=True):
        np.testing.assert_allclose(ours, 2 * exact, rtol=1e-9, atol=1e-12)
    assert mine.analytic_radius == pytest.approx(math.pi / 2)
    assert pickle.loads(pickle.dumps(mine)) == mine
    assert activation(f"{path}:kinked").kinks == (0.0,)


@pytest.mark.parametrize(("function", "message"), [("missing", "no function"), ("wrong_shape", "elementwise")])
def test_user_activation_errors(tmp_path, function: str, message: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    with pytest.raises(RgflowError, match=message):
        activation(f"{path}:{function}")


def test_imports_stay_light() -> None:
    code = (
        "import sys; from rgflow.activations.registry import activation; from rgflow.gaussian.single import single_mean;"
        "single_mean(activation('tanh'), (0, 0), 1.0); print([m for m in ('torch', 'scipy', 'xarray') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
