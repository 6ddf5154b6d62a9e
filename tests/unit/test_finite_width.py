"""All tensors of many inputs on randomized nodes: against certified quadrature, plain Monte Carlo and exact symmetries."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from dense_averages import DenseAverages
from numpy.random import SeedSequence

import rgflow
from rgflow.errors import RgflowError
from rgflow.gaussian.derivatives import PATTERNS, DerivativeExpectations
from rgflow.gaussian.expectations import Expectations
from rgflow.gaussian.node_sums import NodeSums, correlated_nodes
from rgflow.network import Network
from rgflow.theory.initialization.dntk import dntk_theory
from rgflow.theory.initialization.finite_width import (
    finite_width_cost,
    finite_width_tensors,
    mean_and_error,
    tensor_randomizations,
)

SMOOTH = ("K", "G1", "V", "Theta", "Theta1", "D", "F", "A", "B", "P", "Q", "R", "S", "T", "U")
FOUR = tuple("VDFABPQRSTU")
PATTERNS_OF_ALL = ((0, 0, 0, 0), (0, 0, 1, 1), (1, 1, 1, 1), *PATTERNS)
INPUTS = np.random.default_rng(5).normal(size=(5, 6)) + 0.5


def network(activation: str, depth: int = 3) -> Network:
    hidden = (5, 7, 4, 6)[: depth - 1]
    layers = np.arange(depth)
    return Network(activation, (6, *hidden, 2), 0.1, 1.1 + 0.1 * layers, 0.3 + 0.1 * layers, 0.8 - 0.1 * layers)


@cache
def both_routes(activation: str) -> tuple[xr.Dataset, xr.Dataset]:
    return (
        finite_width_tensors(network(activation), INPUTS),
        finite_width_tensors(network(activation), INPUTS, nodes=2**14, seed=1),
    )


def z_scores(activation: str, names: tuple[str, ...]) -> np.ndarray:
    certified, sampled = both_routes(activation)
    z = []
    for name in names:
        error = sampled[f"{name}_error"].values
        uncertain = error > 1e-12 * np.abs(certified[name].values).max()
        z.append(((sampled[name] - certified[name]).values[uncertain] / error[uncertain]).ravel())
    return np.concatenate(z)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin", "swish"])
def test_nodes_agree_with_quadrature_within_their_errors(activation: str) -> None:
    """Every tensor: rms z near 1 (entries are correlated) and no entry far off in units of the t-distribution's tails."""
    for name in FOUR:
        z = z_scores(activation, (name,))
        assert z.size > 100
        assert 0.5 < np.sqrt(np.mean(z**2)) < 1.7, name
    everything = z_scores(activation, FOUR)
    assert 0.8 < np.sqrt(np.mean(everything**2)) < 1.25
    assert np.mean(np.abs(everything) > 5) < 0.01


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin", "swish"])
def test_the_usual_number_of_nodes_is_accurate_to_a_thousandth(activation: str) -> None:
    certified, sampled = both_routes(activation)
    for name in FOUR:
        deviation = np.sqrt(np.mean((sampled[name] - certified[name]).values ** 2))
        assert deviation < 2e-3 * np.abs(certified[name].values).max(), name


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
def test_what_two_inputs_fix_is_exact_for_many(activation: str) -> None:
    """K, Theta, G1, Theta1 and all entries with at most two different inputs have no sampling error."""
    certified, sampled = both_routes(activation)
    for name in SMOOTH:
        different = np.array([len(set(index)) for index in np.ndindex(certified[name].shape[1:])])
        pairs = (different <= 2).reshape(certified[name].shape[1:])
        scale = np.abs(certified[name].values).max()
        np.testing.assert_allclose(sampled[name].values[0][pairs], certified[name].values[0][pairs], atol=1e-8 * scale)
        assert not sampled[f"{name}_error"].values[0][pairs].any()


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sin"])
def test_two_inputs_agree_with_one_dense_grid(activation: str) -> None:
    """The quartic moments of the dNTK against a trapezoidal rule in the plane, to 1e-8."""
    K = np.array([[0.9, 0.5], [0.5, 1.3]])
    sigma = rgflow.activation(activation)
    dense, engine = DenseAverages(sigma, K), DerivativeExpectations(sigma, K, 1e-9)
    for pattern in PATTERNS_OF_ALL:
        for orders in set(permutations(pattern)):
            np.testing.assert_allclose(engine.quartic(orders), dense.mean(orders), rtol=1e-8, atol=1e-9)


def test_quadrature_agrees_with_plain_monte_carlo() -> None:
    """Five correlated inputs, 2e5 independent draws of numpy, every quartic moment: largest |z| of 3750 entries."""
    K = np.array(INPUTS @ INPUTS.T / 6)
    sigma, draws = rgflow.activation("tanh"), 200_000
    engine = DerivativeExpectations(sigma, K)
    z = np.linalg.cholesky(K) @ np.random.default_rng(2).normal(size=(5, draws))
    tower = sigma.derivatives(z, 3)
    for pattern in PATTERNS_OF_ALL:
        first, second = ((tower[p][:, None] * tower[q]).reshape(25, -1) for p, q in (pattern[:2], pattern[2:]))
        mean, square = first @ second.T / draws, first**2 @ (second**2).T / draws
        deviation = (mean - engine.quartic(pattern).reshape(25, 25)) / np.sqrt((square - mean**2) / draws)
        assert np.abs(deviation).max() < 4.5
        assert np.sqrt(np.mean(deviation**2)) < 1.8


def test_more_nodes_are_better() -> None:
    """64 times the nodes: errors fall by 8 at independent nodes, by more on Sobol points."""
    few, many = (
        finite_width_tensors(network("tanh"), INPUTS, ["V", "S"], nodes=nodes, seed=3) for nodes in (2**8, 2**14)
    )
    for name in ("V_error", "S_error"):
        assert 8 < np.sqrt(np.mean(few[name] ** 2) / np.mean(many[name] ** 2)) < 100


def test_controls_make_low_orders_exact() -> None:
    """For sigma = z the pair functions have no order beyond the second: nodes add nothing."""
    wide = Network("linear", (6, 5, 7, 2), 0.1, 1.2)
    exact, sampled = (finite_width_tensors(wide, INPUTS, ["V"], nodes=nodes) for nodes in (None, 256))
    np.testing.assert_allclose(sampled["V"], exact["V"], rtol=1e-9, atol=1e-12)


def test_relu_on_nodes() -> None:
    certified, sampled = (finite_width_tensors(network("relu"), INPUTS, nodes=nodes) for nodes in (None, 2**14))
    assert set(sampled) == {*"VDFAB", "K", "G1", "Theta", "Theta1", "quadrature_error"} | {
        f"{name}_error" for name in (*"VDFAB", "K", "G1", "Theta", "Theta1")
    }
    for name in "VDFAB":
        error = sampled[f"{name}_error"].values
        uncertain = error > 1e-12
        z = (sampled[name] - certified[name]).values[uncertain] / error[uncertain]
        assert 0.5 < np.sqrt(np.mean(z**2)) < 1.7, name


def test_residual_networks_on_nodes() -> None:
    skip = Network("gelu", (6, 5, 5, 5), 0.1, 1.2, xi_2=0.6)
    certified, sampled = (finite_width_tensors(skip, INPUTS, nodes=nodes) for nodes in (None, 2**13))
    error = sampled["V_error"].values
    z = (sampled["V"] - certified["V"]).values[error > 1e-12] / error[error > 1e-12]
    assert 0.5 < np.sqrt(np.mean(z**2)) < 1.7
    np.testing.assert_allclose(sampled["T3"], certified["T3"], rtol=1e-9)


def test_certified_route_is_that_of_the_other_functions() -> None:
    net = network("gelu")
    everything = finite_width_tensors(net, INPUTS[:3], layer="all")
    theory = rgflow.initialization_theory(net, INPUTS[:3])
    for name in SMOOTH[:9]:
        np.testing.assert_allclose(everything[name], theory[name], rtol=1e-8, atol=1e-9)
    xr.testing.assert_allclose(dntk_theory(net, INPUTS[:3])["U"], everything["U"], rtol=1e-8, atol=1e-12)
    assert everything["layer"].values.tolist() == [1, 2, 3]


def test_pair_tensors_of_many_inputs_are_certified() -> None:
    """K, G1, Theta, Theta1 of 15 inputs, made block by block, are those of any few of them."""
    names, net = ["K", "G1", "Theta", "Theta1"], network("gelu")
    inputs = np.random.default_rng(1).normal(size=(15, 6))
    many = finite_width_tensors(net, inputs, names, layer="all")
    assert set(many) == {*names, "quadrature_error"}
    assert many["quadrature_error"].max() < 1e-8
    for chosen in ([0, 7, 14], [11, 12, 13]):
        few = finite_width_tensors(net, inputs[chosen], names, layer="all")
        for name in names:
            part = many[name].isel(sample_1=chosen, sample_2=chosen)
            np.testing.assert_allclose(part, few[name], rtol=1e-8, atol=1e-10)


def test_symmetries_hold_on_nodes_too() -> None:
    many = finite_width_tensors(network("tanh"), INPUTS, nodes=256)
    tensor = {name: many[name].values[0] for name in FOUR}
    for name, axes in {
        "V": [(1, 0, 2, 3), (2, 3, 0, 1)],
        "D": [(1, 0, 2, 3), (0, 1, 3, 2)],
        "A": [(1, 0, 2, 3), (2, 3, 0, 1)],
        "F": [(2, 3, 0, 1)],
        "B": [(1, 0, 3, 2), (2, 3, 0, 1)],
        "P": [(0, 2, 1, 3)],
        "R": [(0, 1, 3, 2)],
        "S": [(1, 0, 3, 2)],
        "T": [(2, 3, 0, 1)],
        "U": [(2, 3, 0, 1)],
    }.items():
        for order in axes:
            np.testing.assert_allclose(tensor[name], tensor[name].transpose(order), rtol=1e-9, atol=1e-12)


def test_repeated_and_parallel_inputs() -> None:
    """A repeated input repeats its entries; a kernel of rank one, as of parallel inputs without bias, is fine."""
    repeated = INPUTS[[0, 1, 2, 3, 4, 1, 0]]
    many = finite_width_tensors(network("tanh"), repeated, nodes=1024)
    for name in FOUR:
        values = many[name].values[0]
        swapped = values[np.ix_(*[[6, 5, 2, 3, 4, 1, 0]] * 4)]
        np.testing.assert_allclose(values, swapped, rtol=1e-6, atol=1e-7 * np.abs(values).max())
    parallel = Network("tanh", (6, 5, 4, 2), 0.0, 1.2)
    line = INPUTS[0] * np.linspace(-1.5, 1.5, 8)[:, None]
    certified = finite_width_tensors(parallel, line[[0, 3, 6]], ["V", "U"])
    sampled = finite_width_tensors(parallel, line, ["V", "U"], nodes=2**13)
    for name in ("V", "U"):
        chosen = sampled.isel({f"sample_{leg}": [0, 3, 6] for leg in (1, 2, 3, 4)})
        difference = np.abs(chosen[name] - certified[name]).values
        assert np.all(difference <= 6 * chosen[f"{name}_error"].values + 1e-8)


def test_seed_decides() -> None:
    run = [finite_width_tensors(network("tanh"), INPUTS, ["V", "T"], nodes=256, seed=seed) for seed in (7, 7, 8)]
    xr.testing.assert_identical(run[0], run[1])
    assert np.abs(run[0]["V"] - run[2]["V"]).max() > 1e-6


def test_pieces_of_nodes_change_rounding_only(monkeypatch: pytest.MonkeyPatch) -> None:
    sigma, K = rgflow.activation("tanh"), INPUTS @ INPUTS.T / 6
    means = []
    for size in (1024, 100):
        monkeypatch.setattr("rgflow.gaussian.node_sums._NODES_AT_ONCE", size)
        means.append(NodeSums(sigma, K, 1024, SeedSequence(1)).mean((0, 2), (1, 1)))
    np.testing.assert_allclose(*means, rtol=1e-12)


def test_nodes_have_their_covariance() -> None:
    K = INPUTS @ INPUTS.T / 6
    z = correlated_nodes(K, 2**14, SeedSequence(0))
    np.testing.assert_allclose(z @ z.T / 2**14, K, atol=2e-3)
    singular = correlated_nodes(np.ones((3, 3)), 64, SeedSequence(0))
    np.testing.assert_allclose(singular, np.broadcast_to(singular[0], singular.shape), atol=1e-6)


def test_errors_of_what_is_made_of_tensors() -> None:
    """Scatter of a contraction over randomizations: independent of how it is summed, and right against quadrature."""
    weights = np.random.default_rng(0).normal(size=(5, 5))

    def contraction(tensors: xr.Dataset) -> xr.Dataset:
        return xr.Dataset({"energy": (("layer",), np.einsum("labcd,ab,cd->l", tensors["V"], weights, weights))})

    net = network("tanh")
    found = mean_and_error(map(contraction, tensor_randomizations(net, INPUTS, ["V"], nodes=2**12)))
    exact = mean_and_error(map(contraction, tensor_randomizations(net, INPUTS, ["V"])))
    assert "energy_error" not in exact
    assert abs(found["energy"] - exact["energy"]).item() < 4 * found["energy_error"].item()
    assert found["energy_error"].item() < 1e-2 * abs(exact["energy"].item())


def test_mean_and_error_by_hand() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0, 1.0])
    combined = mean_and_error(xr.Dataset({"x": value, "quadrature_error": 1e-9}) for value in values)
    assert combined["x"].item() == pytest.approx(3.0)
    assert combined["x_error"].item() == pytest.approx(np.sqrt(values.var(ddof=1) / 5 * 4 / 2))
    assert set(combined) == {"x", "x_error", "quadrature_error"}


def test_cost_is_known_before() -> None:
    deep = Network("tanh", (6, *[64] * 3, 1), 0, 1)
    few, many, more = (finite_width_cost(deep, samples) for samples in (6, 24, 40))
    assert few.seconds < 5
    assert few.memory < many.memory < more.memory < 4
    assert many.seconds < more.seconds < 120
    assert finite_width_cost(deep, 40, ["V"]).memory < more.memory / 3
    assert finite_width_cost(deep, 40, layer="all").memory > more.memory


@pytest.mark.parametrize(
    ("activation", "arguments", "message"),
    [
        ("tanh", {"nodes": 1000}, r"nodes = 1000; allowed: a power of two, at least 128"),
        ("tanh", {"nodes": 64}, r"nodes = 64; allowed"),
        ("tanh", {"tensors": ["V", "W"]}, r"tensors = \['V', 'W'\]; allowed are K, G1, V"),
        (
            "tanh",
            {"nodes": 256, "memory": 0.1},
            r"these tensors take 0.2\S* GiB, more than memory = 0.1; ask for fewer",
        ),
        ("relu", {"tensors": ["U"]}, r"activation = relu; the dNTK needs one without kinks"),
    ],
)
def test_refusals(activation: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RgflowError, match=message):
        finite_width_tensors(network(activation), INPUTS, **arguments)  # type: ignore[arg-type]


def test_nodes_do_not_see_delta_functions() -> None:
    sums = NodeSums(rgflow.activation("relu"), np.eye(2), 64, SeedSequence(0))
    with pytest.raises(RgflowError, match=r"sigma\^\(2\) of relu is a distribution; allowed: up to 1"):
        sums.mean((2, 0), (1, 1))
    with pytest.raises(RgflowError, match=r"relu has kinks"):
        DerivativeExpectations(rgflow.activation("relu"), np.eye(2))


def test_pair_entries_are_those_of_the_full_moment() -> None:
    K = INPUTS[[0, 1, 2, 1]] @ INPUTS[[0, 1, 2, 1]].T / 6
    engine = Expectations(rgflow.activation("gelu"), K)
    places, values = engine.pair_entries((0, 0, 1, 1))
    full = engine.quartic((0, 0, 1, 1))
    np.testing.assert_allclose(full.ravel()[places], values, rtol=1e-12)
    inputs = np.array([0, 1, 2, 1])
    different = [len(set(inputs[list(index)])) for index in np.ndindex(full.shape)]
    assert len(places) == sum(count <= 2 for count in different)
