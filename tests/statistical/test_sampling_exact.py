"""Sampled tensors against exact laws at widths 3-8, where the leading 1/n order is off by factors.

Exact recursions of the deep linear network (many inputs, biases) and of scale-invariant activations (one input). Fixed seeds;
estimates must lie within 4.5 standard errors, entry by entry.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import xarray as xr

from rgflow.network import Network
from rgflow.sampling.blocks import sample_groups, sample_initialization
from rgflow.sampling.groups import combine, estimate_tensors
from rgflow.sampling.spec import SamplingSpec
from rgflow.theory.initialization.exact import exact_theory

ALL = ("K", "V", "Theta", "D", "F", "A", "B")
BOUND = 4.5
Tensors = Mapping[str, np.ndarray]


def linear_layer(network: Network, layer: int, t: Tensors) -> dict[str, np.ndarray]:
    """The exact tensors of layer + 1 of a deep linear network; connected ones divided by n_{l-1}, as on input."""
    n, G, H = network.widths[layer], t["K"], t["Theta"]
    C_b, C_W, l_b, l_W = (p[layer] for p in (network.C_b, network.C_W, network.lambda_b, network.lambda_W))
    u, d, f, a, b = (t[name] for name in "VDFAB")
    swap = "acbd->abcd"  # the tensor's slots 1324 read as 1234
    GG, GH, HH = (np.einsum("ab,cd->abcd", *pair) for pair in ((G, G), (G, H), (H, H)))
    M = GG + u
    # w_1234 of the pairs (13)(24) and (14)(23)
    s = u + (np.einsum(swap, M) + np.einsum("adbc->abcd", M)) / n
    tt = d + (np.einsum(swap, f) + np.einsum("adbc->abcd", f)) / n
    w = a + (np.einsum(swap, b) + np.einsum("adbc->abcd", b)) / n
    slots = "abcd->acbd"
    return {
        "K": C_b + C_W * G,
        "Theta": l_b + l_W * G + C_W * H,
        "V": C_W**2 * s,
        "D": C_W * (l_W * s + C_W * tt),
        "A": l_W**2 * s + l_W * C_W * (tt + np.einsum("abcd->cdab", tt)) + C_W**2 * w,
        "F": C_W**2 * (f + (np.einsum(slots, GH + d) + np.einsum("adbc->acbd", f)) / n),
        "B": C_W**2 * (b + (np.einsum(slots, HH + a) + np.einsum("adbc->acbd", b)) / n),
    }


def scale_invariant_layer(network: Network, layer: int, t: Tensors) -> dict[str, np.ndarray]:
    """The same for one input and sigma(z) = a_+ z or a_- z."""
    assert network.activation.slopes is not None
    low, high = network.activation.slopes
    n, A2 = network.widths[layer], (low**2 + high**2) / 2
    r = (low**4 + high**4) / 2 / A2**2
    C_b, C_W, l_b, l_W = (p[layer] for p in (network.C_b, network.C_W, network.lambda_b, network.lambda_W))
    G, H = t["K"], t["Theta"]
    u, d, f, a, b = (t[name] for name in "VDFAB")
    ss = A2**2 * ((G**2 + u) * (1 + (3 * r - 1) / n) - G**2)
    st = A2**2 * ((G * H + d) * (1 + (r - 1) / n) + 2 * r / n * f - G * H)
    tt = A2**2 * ((H**2 + a) * (1 + (r - 1) / n) + 2 * r / n * b - H**2)
    return {
        "K": C_b + C_W * A2 * G,
        "Theta": l_b + l_W * A2 * G + C_W * A2 * H,
        "V": C_W**2 * ss,
        "D": C_W * (l_W * ss + C_W * st),
        "A": l_W**2 * ss + 2 * l_W * C_W * st + C_W**2 * tt,
        "F": (C_W * A2) ** 2 * (f * (1 + (2 * r - 1) / n) + r / n * (G * H + d)),
        "B": (C_W * A2) ** 2 * (b * (1 + (2 * r - 1) / n) + r / n * (H**2 + a)),
    }


def exact(network: Network, x: np.ndarray) -> list[dict[str, np.ndarray]]:
    gram, N = x @ x.T / x.shape[1], len(x)
    advance = linear_layer if network.activation.name == "linear" else scale_invariant_layer
    first = {"K": network.C_b[0] + network.C_W[0] * gram, "Theta": network.lambda_b[0] + network.lambda_W[0] * gram}
    layers = [first | {name: np.zeros((N,) * 4) for name in "VDFAB"}]
    for layer in range(1, network.depth):
        layers.append(advance(network, layer, layers[-1]))
    return layers


def worst(sampled: xr.Dataset, network: Network, x: np.ndarray) -> dict[str, float]:
    """Largest deviation of each tensor from the exact law, in standard errors."""
    layers = exact(network, x)
    deviation = {}
    for name in [name for name in ALL if name in sampled]:
        values = []
        for layer in range(2, network.depth + 1):
            strip = 1 if name in ("K", "Theta") else network.widths[layer - 1]
            at = sampled.sel(layer=layer)
            values.append(np.abs((at[name] - strip * layers[layer - 1][name]) / at[f"{name}_stderr"]).values.max())
        deviation[name] = max(values)
    return deviation


@pytest.mark.parametrize("sampler", ["marginal", "weights"])
def test_deep_linear_with_biases_and_two_inputs(sampler: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3))
    network = Network("linear", (3, 5, 8, 6), 0.2, [1.1, 0.9, 1.2], [0.3, 0.1, 0.2], [0.7, 1.1, 0.9])
    sampled = sample_initialization(
        network, x, members=100_000, seed=2, tensors=ALL, sampler=sampler, dtype="float64", device="cpu"
    )
    assert max(worst(sampled, network, x).values()) < BOUND


def test_more_inputs_than_the_closed_form_of_the_ntk_takes() -> None:
    """Seven inputs on widths 3-5-4: means of the NTK come from drawn backward passes and singular covariances."""
    x = np.random.default_rng(9).normal(size=(7, 3))
    network = Network("linear", (3, 5, 4, 3), 0.2, 0.9, 0.3, 0.8)
    sampled = sample_initialization(
        network, x, members=60_000, seed=2, tensors=("K", "Theta", "D", "F"), dtype="float64", device="cpu"
    )
    assert max(worst(sampled, network, x).values()) < 5.0  # of thousands of entries


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_scale_invariant_with_one_input(activation: str) -> None:
    x = np.random.default_rng(1).normal(size=(1, 3))
    network = Network(activation, (3, 5, 8, 6, 7), 0.2, [1.8, 1.6, 2.1, 1.7], 0.3, [0.7, 1.1, 0.9, 1.0])
    sampled = sample_initialization(network, x, members=150_000, seed=3, tensors=ALL, device="cpu")
    assert max(worst(sampled, network, x).values()) < BOUND


def test_width_one_relu_dies_half_the_time() -> None:
    """With one neuron per layer and no bias half of all inputs are lost per layer; E[z^2] stays at criticality."""
    network = Network("relu", (2, 1, 1, 1), 0.0, 2.0)
    groups = sample_groups(network, np.array([[1.0, 1.0]]), range(40), SamplingSpec(4, ("K", "V"), kept=40_000), "cpu")
    alive = (groups.preactivation.isel(output_1=0, sample_1=0) != 0).mean("member")
    np.testing.assert_allclose(alive, [1.0, 0.5, 0.25], atol=4.5 * 0.5 / np.sqrt(40_000))
    sampled = estimate_tensors(combine([groups]))
    deviation = (sampled.K - 2.0).sel(layer=[2, 3]) / sampled.K_stderr.sel(layer=[2, 3])
    assert float(np.abs(deviation).max()) < BOUND


@pytest.mark.parametrize(("law", "excess_kurtosis"), [("normal", 0.0), ("uniform", -1.2), ("discrete", -2.0)])
def test_weight_laws_have_unit_variance_and_their_kurtosis(law: str, excess_kurtosis: float) -> None:
    """V of layer 2 of a linear network is C_W^2 Var(z^2) of one first-layer neuron."""
    x = np.array([[1.0, -2.0, 0.5]])
    network = Network("linear", (3, 4, 1), 0.0, 1.0)
    sampled = sample_initialization(
        network, x, members=200_000, seed=5, tensors=("K", "V"), sampler="weights", law=law, device="cpu"
    ).sel(layer=2)
    K = float((x**2).sum() / 3)
    V = 2 * K**2 + excess_kurtosis * float((x**4).sum()) / 9
    assert abs(sampled.K.item() - K) < BOUND * sampled.K_stderr.item()
    assert abs(sampled.V.item() - V) < BOUND * sampled.V_stderr.item()


def test_truncated_normal_has_unit_variance_and_ends() -> None:
    x = np.array([[1.0]])
    network = Network("linear", (1, 4, 1), 0.0, 1.0)
    groups = sample_groups(
        network, x, range(20), SamplingSpec(5, ("K",), "weights", "truncated_normal", kept=20_000), "cpu"
    )
    z = groups.preactivation.sel(layer=1).values.ravel()
    assert abs(z.var() - 1) < BOUND * np.sqrt(2 / len(z))
    assert 2.2 < np.abs(z).max() < 2.28  # two standard deviations of the normal that is cut, 2 / 0.88


def test_orthogonal_layers_keep_norms() -> None:
    """A square orthogonal linear network is an isometry: K does not fluctuate, nor does the NTK."""
    x = np.array([[1.0, -2.0, 0.5, 0.3]])
    network = Network("linear", (4, 4, 4, 4), 0.0, 1.0)
    ensemble = SamplingSpec(6, ("K", "Theta"), "weights", "orthogonal", dtype="float64")
    groups = sample_groups(network, x, range(2), ensemble, "cpu")
    K = (x**2).sum() / 4
    np.testing.assert_allclose(groups.mean_G, K, rtol=1e-12)
    np.testing.assert_allclose(groups.mean_H[0, :, 0, 0], K * np.arange(1, 4), rtol=1e-12)


@pytest.mark.parametrize(("activation", "N"), [("gelu", 2), ("tanh", 3), ("relu", 3)])
def test_all_tensors_agree_between_the_samplers(activation: str, N: int) -> None:
    x = np.random.default_rng(7).normal(size=(N, 4))
    network = Network(activation, (4, 6, 4, 5), 0.2, 1.4, 0.3, 0.8)
    found = [
        sample_initialization(network, x, members=40_000, seed=8, tensors=ALL, sampler=sampler, device="cpu")
        for sampler in ("marginal", "weights")
    ]
    for name in ALL:
        difference = (found[0][name] - found[1][name]).sel(layer=[2, 3])
        error = np.hypot(found[0][f"{name}_stderr"], found[1][f"{name}_stderr"]).sel(layer=[2, 3])
        assert float(np.abs(difference / error).max()) < BOUND, name


def test_six_point_correlator_of_one_linear_input() -> None:
    network = Network("linear", (3, 4, 6, 5, 2), 0.0, 1.1)
    sampled = sample_initialization(network, np.array([[0.5, -1.0, 0.8]]), members=60_000, seed=9, tensors=("V6",))
    exact = exact_theory(network, np.array([[0.5, -1.0, 0.8]]))["V6"]
    z = ((sampled["V6"] - exact) / sampled["V6_stderr"]).sel(layer=[2, 3, 4])
    assert float(abs(z).max()) < BOUND
    assert float((sampled["V6_stderr"] / exact).sel(layer=2).max()) < 0.05
    assert sampled["V6"].sel(layer=1) == 0.0
