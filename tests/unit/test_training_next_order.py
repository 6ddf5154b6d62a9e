"""Training at order 1/n against literal steps with explicit deltas, closed forms, limits; and what it refuses."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from literal_training import Combined, Literal, literal_covariance, random_tensors

from rgflow.errors import RgflowError
from rgflow.network import Network
from rgflow.theory.initialization.finite_width import finite_width_tensors, tensor_randomizations
from rgflow.theory.learning.dynamics import Dynamics
from rgflow.theory.learning.eigenbasis import eigenbasis
from rgflow.theory.learning.infinite_width import train_spectrum
from rgflow.theory.learning.next_order import State, covariance_in_time, moments
from rgflow.theory.learning.parts import all_parts
from rgflow.theory.learning.statistics import OutputTensors, row_statistics
from rgflow.theory.learning.training import training_theory
from rgflow.variables.library import document, library

TIMES = (0, 1, 2, 8)
END = 160  # literal steps after which nothing moves any more, for the step sizes used here
NETWORK = Network("tanh", (3, 8, 12, 2), 0.1, [1.1, 1.5, 1.3], [0.3, 0.2, 0.4], [0.7, 0.9, 1.1])


def task(samples: int = 3, outputs: int = 2, seed: int = 3) -> dict[str, np.ndarray]:
    """All but one of some inputs to train on, the last one to test on."""
    rng = np.random.default_rng(seed)
    inputs, targets = rng.normal(size=(samples, 3)), rng.normal(size=(samples, outputs))
    names = ("train_inputs", "test_inputs", "train_targets", "test_targets")
    return dict(zip(names, (inputs[:-1], inputs[-1:], targets[:-1], targets[-1:]), strict=True))


def by_component(matrix: np.ndarray, n_L: int) -> np.ndarray:
    """(n_L N, n_L N) -> (n_L, n_L, N, N)."""
    N = len(matrix) // n_L
    return matrix.reshape(n_L, N, n_L, N).swapaxes(1, 2)


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(found, expected, atol=tolerance * max(abs(expected).max(), 1e-3), rtol=0)


class Setting:
    """Random tensors, a basis, targets, and step sizes as a matrix between samples and as rates of modes."""

    def __init__(self, n_L: int, train: int, test: int, newton: bool = False) -> None:
        self.n_L, self.train = n_L, train
        self.tensors = random_tensors(train + test, seed=n_L)
        self.spectrum = train_spectrum(self.tensors.Theta, train)
        self.basis = eigenbasis(self.tensors.Theta, *self.spectrum)
        self.y = np.random.default_rng(1).normal(size=(train, n_L))
        theta, modes = self.spectrum
        self.rate = 0.7 / theta if newton else np.full(train, 1.3 / theta[-1])
        self.row = row_statistics(self.tensors, self.basis, self.y)
        self.dynamics = Dynamics(theta, self.rate, flow=False)
        self.step = np.kron(np.eye(n_L), modes * self.rate @ modes.T)

    def literal(self) -> Literal:
        return Literal(Combined(self.tensors, self.n_L, self.train), self.y, self.step)


@pytest.mark.parametrize(
    "setting",
    [(1, 2, 1), (2, 2, 2), (3, 2, 1), (2, 3, 1), (2, 2, 1, True)],
    ids=["1 output", "2 outputs", "3 outputs", "3 train samples", "newton"],
)
def test_every_step_and_the_end_are_those_of_the_literal_iteration(setting: tuple[int, ...]) -> None:
    fast = Setting(*setting)
    slow, step = fast.literal(), 0
    for time, found in zip((*TIMES, END), moments(fast.row, fast.basis, fast.dynamics, TIMES), strict=True):
        while step < time:
            slow.advance()
            step += 1
        assert_close(found.mean.sum(axis=0), slow.mean().reshape(fast.n_L, -1).T)
        assert_close(found.covariance.sum(axis=0), by_component(literal_covariance(slow, slow), fast.n_L))
        assert_close(found.NTK.sum(axis=0), by_component(slow.ntk(), fast.n_L))


def test_covariance_between_two_times() -> None:
    fast = Setting(2, 2, 1)
    early, late = fast.literal(), fast.literal()
    for _ in range(2):
        early.advance()
    for _ in range(7):
        late.advance()
    states = [State(k, all_parts(fast.row, k)) for k in fast.dynamics.kernels((2, 7), test_count=1)]
    found = covariance_in_time(fast.row, fast.basis, *states).sum(axis=0)
    assert_close(found, by_component(literal_covariance(early, late), 2))


@cache
def tensors_of(samples: int = 3) -> xr.Dataset:
    """Tensors of NETWORK on the inputs of ``task``."""
    data = task(samples)
    inputs = np.concatenate([data["train_inputs"], data["test_inputs"]])
    return finite_width_tensors(NETWORK, inputs)


def theory(samples: int = 3, **settings: Any) -> xr.Dataset:
    """Training of NETWORK on a task, from tensors computed once."""
    return training_theory(NETWORK, **task(samples), tensors=tensors_of(samples), **settings)


def test_the_public_function_follows_the_literal_iteration_of_a_network() -> None:
    data = task()
    result = training_theory(NETWORK, **data, steps=TIMES, learning_rate=0.2)
    combined = Combined(OutputTensors.of(tensors_of().isel(layer=-1)), 2, 2)
    slow, step = Literal(combined, data["train_targets"], 0.2 * np.eye(4)), 0
    for time in TIMES:
        while step < time:
            slow.advance()
            step += 1
        at = result.sel(step=time)
        assert_close(at["prediction_mean1"].values, slow.mean().reshape(2, -1).T)
        assert_close(at["prediction_covariance1"].values, by_component(literal_covariance(slow, slow), 2))
        assert_close(at["NTK1"].values, by_component(slow.ntk(), 2))


def test_losses_are_those_of_the_moments() -> None:
    """d/d(1/n) of 1/2 sum (E z - y)^2 + 1/2 sum Var z, by a finite difference in 1/n of exact quadratics."""
    data, result = task(), theory(steps=TIMES)
    targets = np.concatenate([data["train_targets"], data["test_targets"]])
    variance1 = np.einsum("tiiaa->tai", result["prediction_covariance1"].values)
    loss = {}
    for inverse_n in (-0.5, 0.5):
        bias = result["prediction_mean"] + inverse_n * result["prediction_mean1"] - targets
        loss[inverse_n] = 0.5 * bias.values**2 + 0.5 * inverse_n * variance1
    slope = (loss[0.5] - loss[-0.5]).sum(axis=2)
    np.testing.assert_allclose(result["train_loss1"], slope[:, :2].sum(axis=1), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(result["test_loss1"], slope[:, 2], rtol=1e-11, atol=1e-13)
    for role in ("train", "test"):
        for order in ("", "1"):
            parts = result[f"{role}_bias{order}"] + result[f"{role}_variance{order}"]
            np.testing.assert_allclose(result[f"{role}_loss{order}"], parts, rtol=1e-13)


def test_parts_add_up_and_only_the_frozen_part_is_there_at_the_start() -> None:
    result = theory(steps=TIMES)
    for name in ("prediction_mean1", "prediction_covariance1", "NTK1"):
        for kind in ("", "_limit"):
            total = result[f"{name}{kind}_parts"].sum("part")
            assert_close(result[f"{name}{kind}"].values, total.transpose(*result[f"{name}{kind}"].dims).values, 1e-14)
        moving = result[f"{name}_parts"].sel(part=["dNTK", "ddNTK"])
        assert not moving.isel(step=0).any(), name
        assert all(abs(moving.isel(step=-1, part=part)).max() > 1e-3 for part in (0, 1)), name


def test_start_and_end() -> None:
    """At the start C1 = G1 and NTK1 = Theta1; at the end train samples are learned, and a late step is the end."""
    late, tensors = theory(steps=(0, 20000), learning_rate=0.2), tensors_of().isel(layer=-1)
    start = late.sel(step=0)
    assert not start["prediction_mean1"].any()
    for name, tensor in {"prediction_covariance1": "G1", "NTK1": "Theta1"}.items():
        assert_close(start[name].values, np.einsum("ij,ab->ijab", np.eye(2), tensors[tensor].values))
    assert abs(late["prediction_mean1_limit"][:2]).max() < 1e-10
    assert abs(late["prediction_covariance1_limit"][:, :, :2]).max() < 1e-10
    for name in ("prediction_mean1", "prediction_covariance1", "NTK1", "train_loss1", "test_loss1"):
        np.testing.assert_allclose(late[name][-1], late[f"{name}_limit"], rtol=1e-6, atol=1e-9, err_msg=name)


def test_gradient_flow_is_the_limit_of_small_steps() -> None:
    flow = theory(times=(0.0, 1.2), learning_rate=0)
    small, half = (theory(steps=(0, t), learning_rate=1.2 / t) for t in (600, 1200))
    for name in ("prediction_mean1", "prediction_covariance1", "NTK1", "test_loss1", "prediction_covariance"):
        for kind in ("", "_limit"):
            extrapolated = 2 * half[f"{name}{kind}"].values - small[f"{name}{kind}"].values
            assert_close(extrapolated, flow[f"{name}{kind}"].values, 1e-5)
    np.testing.assert_array_equal(flow["time"], [0.0, 1.2])


@pytest.mark.parametrize("n_L", [1, 3])
def test_last_layer_alone_gives_the_bayesian_form_without_evidence_terms(n_L: int) -> None:
    """With Theta = K the features of each network are fixed: m1 and C1 are those of its own regression, averaged over the
    prior, G1 and V projected on what train samples leave open.
    """
    data = task(4, n_L)
    network = Network("tanh", (3, 8, 12, n_L), 0.1, 1.4, [0, 0, 0.1], [0, 0, 1.4])
    result = training_theory(network, **data, steps=(0,))
    last = finite_width_tensors(network, np.concatenate([data["train_inputs"], data["test_inputs"]])).isel(layer=-1)
    K, G1, V = (last[name].values for name in ("K", "G1", "V"))
    inverse = np.linalg.inv(K[:3, :3])
    v = inverse @ data["train_targets"]
    open_rows = np.append(-K[3, :3] @ inverse, 1.0)
    G1_open, V_open = open_rows @ G1[:, :3], np.einsum("a,abcd->bcd", open_rows, V)[:3, :3, :3]
    mean = G1_open @ v - np.einsum("acd,ac,di->i", V_open, inverse, v)
    assert_close(result["prediction_mean1_limit"].values[3], mean)
    V_both = np.einsum("a,abcd,c->bd", open_rows, V, open_rows)[:3, :3]
    same = open_rows @ G1 @ open_rows - np.einsum("bd,bd", V_both, inverse)
    covariance = np.eye(n_L) * same + np.einsum("bd,bi,dj->ij", V_both, v, v)
    assert_close(result["prediction_covariance1_limit"].values[:, :, 3, 3], covariance)
    assert_close(result["NTK1"].values[0], np.einsum("ij,ab->ijab", np.eye(n_L), G1))


@pytest.mark.parametrize("depth", [2, 3, 8, 32])
def test_deep_linear_networks_at_the_end(depth: int) -> None:
    """At equal widths, C_b = lambda_b = 0: the mean has no term of order 1/n, whatever the step; not one of its parts has, as all
    tensors are made of inner products. After gradient flow C1 = (L-1)/2 C (y_i K^-1 y_j - N_A d_ij).
    """
    network, data = Network("linear", (3, *(9,) * (depth - 1), 2), 0.0, 1.0, 0.0, 0.7), task(3)
    for training in ({"steps": (0, 2), "step_fraction": 0.4}, {"times": (0.0, 0.2), "learning_rate": 0.0}):
        result = training_theory(network, **data, **training)
        scale = abs(result["prediction_mean1_parts"]).max(["step", "sample", "output"])  # on the way to the end
        assert (scale > 0.01).all()
        assert (abs(result["prediction_mean1_limit_parts"]).max(["sample", "output"]) < 1e-10 * scale).all()
    y, K = data["train_targets"], result["K_output"].values[:2, :2]
    C = result["prediction_covariance_limit"].values[2, 2]
    expected = (depth - 1) / 2 * C * (y.T @ np.linalg.solve(K, y) - 2 * np.eye(2))
    assert_close(result["prediction_covariance1_limit"].values[:, :, 2, 2], expected)


@pytest.mark.parametrize("h", [0.05, 0.5, 1.0])
def test_deep_linear_covariance_depends_on_the_step(h: float) -> None:
    """One train sample, L = 2: C1/C = (Y - 1)/2 - h/(2 - h) (Y + 1)/4 with Y = y^2/K and h = eta theta."""
    network, data = Network("linear", (3, 9, 1), 0.0, 1.0, 0.0, 0.7), task(2, outputs=1)
    theta = float(training_theory(network, **data, steps=(0,), order="leading")["theta_max"])
    result = training_theory(network, **data, steps=(0,), learning_rate=h / theta)
    Y = data["train_targets"].item() ** 2 / result["K_output"].values[0, 0]
    ratio = (
        result["prediction_covariance1_limit"].values[0, 0, 1, 1] / result["prediction_covariance_limit"].values[1, 1]
    )
    assert ratio == pytest.approx((Y - 1) / 2 - h / (2 - h) * (Y + 1) / 4, abs=1e-10)


def test_where_training_ends_depends_on_the_algorithm_only_at_finite_width() -> None:
    settings: list[dict[str, Any]] = [
        {"steps": (0,), "step_fraction": 0.2},
        {"steps": (0,), "step_fraction": 0.6},
        {"steps": (0,), "step_fraction": 0.3, "optimizer": "newton"},
        {"times": (0.0,), "learning_rate": 0.0},
    ]
    ends = [theory(4, **setting) for setting in settings]
    for name in ("prediction_mean", "prediction_covariance"):
        for end in ends[1:]:
            assert_close(end[f"{name}_limit"].values, ends[0][f"{name}_limit"].values, 1e-9)
            difference = end[f"{name}1_limit"].values - ends[0][f"{name}1_limit"].values
            assert abs(difference).max() > 1e-3 * abs(ends[0][f"{name}1_limit"]).max()
    frozen = [end["prediction_mean1_limit_parts"].sel(part="frozen").values for end in ends]
    for other in frozen[1:]:
        assert_close(other, frozen[0], 1e-8)  # a frozen NTK, random or not, forgets how it was descended


def test_samples_and_outputs_may_come_in_any_order() -> None:
    data, order, settings = task(4), [2, 0, 1], {"steps": TIMES, "learning_rate": 0.1}
    shuffled = {**data, **{name: data[name][order] for name in ("train_inputs", "train_targets")}}
    shuffled = {name: value[:, ::-1] if "targets" in name else value for name, value in shuffled.items()}
    first, second = theory(4, **settings), training_theory(NETWORK, **shuffled, **settings)
    everyone = [*order, 3]
    reordered = first["prediction_covariance1"].values[:, ::-1, ::-1][:, :, :, everyone][..., everyone]
    assert_close(second["prediction_covariance1"].values, reordered, 1e-9)
    assert_close(second["prediction_mean1"].values, first["prediction_mean1"].values[:, everyone, ::-1], 1e-9)


def test_given_tensors_are_checked_and_used() -> None:
    xr.testing.assert_identical(theory(steps=TIMES), training_theory(NETWORK, **task(), steps=TIMES))
    with pytest.raises(RgflowError, match="tensors lack P, U"):
        training_theory(NETWORK, **task(), steps=TIMES, tensors=tensors_of().drop_vars(["P", "U"]))
    with pytest.raises(RgflowError, match="Theta differs"):
        training_theory(NETWORK, **task(seed=9), steps=TIMES, tensors=tensors_of())


def test_errors_of_the_tensors_go_through() -> None:
    """Randomized nodes against certified quadrature: deviations in units of the errors, over all that has an error."""
    data = task(4)
    inputs = np.concatenate([data["train_inputs"], data["test_inputs"]])
    exact, settings = (
        theory(4, steps=TIMES),
        {"steps": TIMES, "tensors": tensor_randomizations(NETWORK, inputs, nodes=2048)},
    )
    found = training_theory(NETWORK, **data, **settings)
    names = [str(name) for name in exact if f"{name}_error" in found]
    assert {"prediction_mean1", "prediction_covariance1_limit", "NTK1", "train_loss1", "test_loss1_limit"} <= set(names)
    assert not {"prediction_mean", "test_loss"} & set(names)  # the leading order is not randomized
    for name in names:
        error, deviation = found[f"{name}_error"].values, (found[name] - exact[name]).values
        uncertain = error > 1e-10 * abs(exact[name].values).max()
        assert abs(deviation[uncertain] / error[uncertain]).max(initial=0.0) < 5.5, name  # of a t-distribution with 7
        assert abs(deviation[~uncertain]).max(initial=0.0) < 1e-9, name


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        (NETWORK, {"order": "second"}, "order = 'second'; allowed are leading, next"),
        (NETWORK, {"order": ""}, "order = ''; allowed are leading, next"),
        (Network("relu", (3, 8, 2), 0, 2), {"order": "next"}, "relu, which has kinks; use order='leading'"),
        (
            Network("tanh", (3, 2, 2, 2), 0, 1, xi_2=0.5),
            {"order": "next"},
            "of a residual network; use order='leading'",
        ),
        (NETWORK, {"learning_rate": 9.0}, r"learning_rate = 9 is unstable; allowed are 0 to 0\.\d+ = 2 / theta_max"),
        (NETWORK, {"learning_rate": -0.1}, r"learning_rate = -0.1 is unstable"),
        (NETWORK, {"learning_rate": 0.1, "step_fraction": 0.1}, "both given"),
        (NETWORK, {"learning_rate": 0.0}, "learning_rate = 0 is gradient flow: give times"),
        (NETWORK, {"times": (0.0, 1.0)}, "gradient descent goes in steps: give steps"),
        (NETWORK, {"optimizer": "adam"}, "optimizer = 'adam'; allowed are gradient descent, newton"),
        (NETWORK, {"train_targets": np.ones((2, 3))}, "targets have 3 components; the network has n_L = 2"),
    ],
)
def test_bad_input_is_named(network: Network, settings: dict[str, Any], message: str) -> None:
    data = {**task(), "test_targets": None}
    with pytest.raises(RgflowError, match=message):
        training_theory(network, **{**data, "steps": TIMES, **settings})


@pytest.mark.parametrize(
    ("network", "order"),
    [
        (NETWORK, "next"),
        (Network("relu", (3, 8, 2), 0, 2), "leading"),
        (Network("tanh", (3, 2, 2, 2), 0, 1, xi_2=0.5), "leading"),
    ],
)
def test_by_default_the_highest_known_order_is_given_and_named(network: Network, order: str) -> None:
    found = training_theory(network, **task(), steps=TIMES)
    assert found.attrs["order"] == order
    xr.testing.assert_identical(found, training_theory(network, **task(), steps=TIMES, order=order))


@pytest.mark.parametrize("times", [(), (1.0, 0.5), (-1.0,), (np.inf,), ("soon",)])
def test_bad_times_are_named(times: tuple[Any, ...]) -> None:
    with pytest.raises(RgflowError, match="times = "):
        training_theory(NETWORK, **task(), times=times, learning_rate=0.0)


def test_a_repeated_train_input_is_named() -> None:
    data = task()
    data["train_inputs"][1] = data["train_inputs"][0]
    with pytest.raises(RgflowError, match=r"singular .* or use order='leading'"):
        training_theory(NETWORK, **data, steps=TIMES)
    with pytest.raises(RgflowError, match="newton: the NTK of the train samples is singular"):
        training_theory(NETWORK, **data, steps=TIMES, optimizer="newton", order="leading")


@pytest.mark.parametrize("settings", [{"steps": TIMES}, {"times": (0.0, 2.0), "learning_rate": 0.0}])
def test_every_variable_is_registered(settings: dict[str, Any]) -> None:
    library().validate(document(theory(**settings)), "training theory")
