"""K and Theta at infinite width are as good as they say: at any scale, for nearly parallel inputs, in both precisions."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from exact_kernels import exact_kernels, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st

import rgflow
from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.infinite_width import accuracy
from rgflow.theory.infinite_width.kernels import infinite_width_theory
from rgflow.theory.learning.output import output_kernels

ACTIVATIONS = [
    ("relu", {}),
    ("leaky_relu", {"slope": 0.3}),
    ("leaky_relu", {"slope": -0.7}),
    ("linear", {}),
    ("erf", {}),
    ("gelu", {}),
    ("sin", {}),
    ("cos", {}),
]


def related_inputs(seed: int, scale: float, distance: float) -> Any:
    """An input, one nearby, nearly its opposite, on its ray, and one of its own."""
    rng = np.random.default_rng(seed)
    x, other, noise, rest = rng.normal(size=(4, 6))
    ratio = rng.uniform(0.3, 3.0)
    return scale * np.stack([x, x + distance * other, -x + distance * noise, ratio * x, rest])


@st.composite
def networks(draw: st.DrawFn) -> Network:
    name, parameters = draw(st.sampled_from(ACTIVATIONS))
    depth = draw(st.integers(1, 5))
    C_b, lambda_b = draw(st.sampled_from([(0.0, 0.0), (0.1, 1.0), (2.0, 0.0)]))
    C_W = draw(st.sampled_from([0.7, 1.0, 2.0, 5.0]))
    skip = draw(st.sampled_from([0.0, 0.0, 0.9]))
    return Network(rgflow.activation(name, **parameters), (6, *[4] * depth), C_b, C_W, lambda_b, 1.0, 1.0, skip)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    networks(),
    st.integers(0, 10**6),
    st.sampled_from([1e-6, 1e-2, 1.0, 30.0, 255.0, 1e4, 1e6]),
    st.sampled_from([1.0, 1e-2, 1e-4, 1e-7, 1e-10, 0.0]),
    st.sampled_from(["float64", "float64", "float32"]),
)
def test_stated_error_bounds_the_error(net: Network, seed: int, scale: float, distance: float, precision: Any) -> None:
    x = related_inputs(seed, scale, distance)
    try:
        found = infinite_width_theory(net, x, precision)
    except RgflowError:
        assert precision == "float32"  # double precision is enough for all of these
        return
    right = exact_kernels(net, x)
    errors = [relative_error(found[name].values, exact) for name, exact in zip(("K", "Theta"), right, strict=True)]
    assert max(errors) <= found.attrs["expansion_error"]
    if precision == "float64":
        assert max(errors) < 1e-10


def regression_on_a_line(n: int) -> tuple[Network, Any, Any, Any]:
    net = Network("relu", (1, 4, 4, 1), 0.0025, 2.25, lambda_b=0.0025, lambda_W=2.25)
    x, test = np.linspace(-10 * np.pi, 10 * np.pi, n)[:, None], np.linspace(-31, 31, 5)[:, None]
    return net, x, np.sin(x) + np.sin(2 * x), test


@pytest.mark.parametrize("n", [15, pytest.param(80, marks=pytest.mark.slow)])
def test_predictions_for_relu_on_a_line_to_condition_times_rounding(n: int) -> None:
    net, x, y, test = regression_on_a_line(n)
    _, Theta = exact_kernels(net, np.concatenate([x, test]))
    found = rgflow.training_theory(net, x, y, test, steps=[0, 1], order="leading")["kernel_mean_limit"].values[n:]
    condition = np.linalg.cond(Theta[:n, :n].astype(float))
    assert np.abs(found - conditioned(Theta, n, y)).max() < 30 * condition * np.finfo(float).eps


def test_posterior_variance_for_relu_on_a_line_is_right_and_not_negative() -> None:
    n = 15
    net, x, y, test = regression_on_a_line(n)
    K, _ = exact_kernels(net, np.concatenate([x, test]))
    posterior = np.diag(rgflow.bayes_theory(net, x, y, test, order="leading")["posterior_covariance"])
    right = (K[n:, n:] - conditioned(K, n, K[:n, n:])).diagonal().astype(float)
    tolerance = 30 * np.linalg.cond(K[:n, :n].astype(float)) * np.finfo(float).eps * right.max()
    np.testing.assert_allclose(posterior[n:], right, rtol=0, atol=tolerance)
    assert posterior.min() >= 0.0


def conditioned(M: Any, n: int, y: Any) -> Any:
    import mpmath as mp

    with mp.workdps(50):
        train = mp.matrix(M[:n, :n].tolist())
        solved = [mp.lu_solve(train, mp.matrix(column.tolist())) for column in np.asarray(y).T]
        return np.array([[mp.fdot(row, w) for w in solved] for row in M[n:, :n]])


def test_train_loss_of_many_inputs_on_a_line_falls() -> None:
    net, x, y, test = regression_on_a_line(500)
    theory = rgflow.training_theory(net, x, y, test, steps=[0, 10**6, 10**9, 10**12, 10**15], order="leading")
    loss = theory["train_loss"].values
    assert np.all(loss[1:] <= loss[:-1] * (1 + 1e-9) + 1e-12)
    assert loss[-1] < 1e-9
    assert theory["theta_eigenvalue"].min() > 1e-6


@pytest.mark.parametrize("depth", [3, 16, 100])
@pytest.mark.parametrize("ratios", [(1, np.pi, 3, 0.7), (1, 2.198), (1, 2.416, 2.252)])
def test_inputs_on_a_ray(depth: int, ratios: tuple[float, ...]) -> None:
    x, r = np.cos(np.arange(1, 17)), np.array(ratios, dtype=float)
    net = Network("relu", (16, *[8] * depth), 0.0, 2.0, lambda_b=0.0, lambda_W=1.0)
    K, Theta = output_kernels(net, r[:, None] * x)
    np.testing.assert_allclose(K, np.outer(r, r) * 2 * (x @ x / 16), rtol=1e-13)
    np.testing.assert_allclose(Theta, np.outer(r, r) * depth * (x @ x / 16), rtol=1e-13)


@pytest.mark.parametrize("tensors", [("K", "Theta"), ("V", "Theta1", "B")])
def test_random_sets_of_inputs_on_a_ray_at_order_1_over_n(tensors: tuple[str, ...]) -> None:
    """All tensors of inputs on a ray are those of one input times a power of each ratio."""
    rng = np.random.default_rng(3)
    for _ in range(12):
        x, r = rng.standard_normal(16), np.append(1.0, rng.uniform(0.2, 5, rng.integers(1, 4)))
        net = Network("relu", (16, *[8] * int(rng.choice([2, 3, 8])), 1), 0.0, 2.0, lambda_b=0.0)
        found = rgflow.initialization_theory(net, r[:, None] * x, tensors).isel(layer=-1)
        alone = rgflow.initialization_theory(net, x[None], tensors).isel(layer=-1)
        for name in tensors:
            legs = found[name].ndim
            expected = np.einsum(*(part for leg in range(legs) for part in (r, [leg]))) * float(alone[name].squeeze())
            np.testing.assert_allclose(found[name], expected, rtol=1e-12, err_msg=name)
        assert float(found["quadrature_error"]) < 1e-10


@pytest.mark.parametrize("angle", [1e-2, 1e-5, 1e-8, 1e-11])
@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_kernels_at_order_1_over_n_keep_small_angles(name: str, angle: float) -> None:
    x = np.array([[1.0, 0.0], [1.0, angle], [-1.0, angle]])
    net = Network(name, (2, 9, 9, 9, 9), 0.1, 2.0, lambda_b=0.3)
    found = rgflow.initialization_theory(net, x, ("K", "Theta")).isel(layer=-1)
    for exact, tensor in zip(exact_kernels(net, x), ("K", "Theta"), strict=True):
        assert relative_error(found[tensor].values, exact) < 1e-14


def test_what_leaves_the_range_of_the_precision_is_one_line() -> None:
    x = np.random.default_rng(0).normal(size=(3, 20))

    def relu(depth: int, C_W: float = 1.0) -> Network:
        return Network("relu", (20, *[8] * depth), 0.0, C_W)

    exact = np.einsum("ai,ai->a", x, x) / 20 / 2.0**99
    np.testing.assert_allclose(np.diag(infinite_width_theory(relu(100), x, "float32")["K"]), exact, rtol=1e-4)
    for depth in (150, 200, 300):
        with pytest.raises(RgflowError, match=r"K is .* at layer 12\d: below the range of float32, 1.2e-38"):
            infinite_width_theory(relu(depth), x, "float32")
    with pytest.raises(RgflowError, match=r"K is .* at layer 102\d: below the range of float64"):
        rgflow.training_theory(relu(1200), x[:2], [[1.0] * 8] * 2, x[2:], steps=[0], order="leading")
    with pytest.raises(RgflowError, match=r"K is not finite at layer 1\d: beyond the range of float32, 3.4e\+38"):
        infinite_width_theory(relu(40, 2000.0), x, "float32")


@pytest.mark.parametrize("scale", [255.0, 1e4, 1e6])
@pytest.mark.parametrize("name", ["tanh", "gelu", "swish", "erf"])
def test_inputs_as_they_come_take_no_memory(name: str, scale: float) -> None:
    x = scale * np.random.default_rng(0).random((4, 30))
    net = Network(name, (30, 8, 8, 8, 1), 0.05, 1.5, lambda_b=1.0)
    tracemalloc.start()
    try:
        if name in ("gelu", "erf"):
            output_kernels(net, x)
        else:
            with pytest.raises(RgflowError, match="scale the inputs down"):
                infinite_width_theory(net, x)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_learning_uses_the_engine_of_infinite_width(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(12, 6))
    net = Network("gelu", (6, 8, 8, 1), 0.1, 1.9, lambda_b=0.5)
    monkeypatch.setattr(accuracy, "quadrature_kernels", None)  # closed forms need no quadrature
    monkeypatch.setattr("rgflow.theory.learning.output.quadrature_kernels", None)
    kernels, fast = output_kernels(net, x), infinite_width_theory(net, x)
    for found, name in zip(kernels, ("K", "Theta"), strict=True):
        np.testing.assert_allclose(found, fast[name], rtol=1e-13)
        assert relative_error(found, exact_kernels(net, x)[("K", "Theta").index(name)]) < 1e-14
