"""The marginal sampler against explicit weights: joint moments of (z, H) of all outputs and inputs up to third order.

Widths are below, equal to and above the number of inputs. Fixed seeds; differences in units of their error, estimated from
the scatter over batches, must stay below a bound that all components together exceed by chance in less than one of 10^3
runs (moments of third order are heavy-tailed, and few of the components are independent).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from rgflow.network import Network
from rgflow.sampling.marginal import marginal_samples
from rgflow.sampling.rng import Streams
from rgflow.sampling.samples import Samples
from rgflow.sampling.target import Target
from rgflow.sampling.weights import weight_samples

BATCH = 1000
BOUND = 5.0  # of 40 batches
MANY_BOUND = 4.0  # of 400

CASES = {
    "gelu": ("gelu", (4, 5, 6, 4), 2),
    "relu, width = inputs": ("relu", (4, 3, 4, 3), 3),
    "tanh, width < inputs": ("tanh", (2, 3, 7, 3), 4),
    "relu, dead layers": ("relu", (2, 3, 3, 3, 2), 2),
}


def make_target(name: str, repeated: bool, C_b: float, dtype: torch.dtype = torch.float32) -> Target:
    activation, widths, N = CASES[name]
    x = torch.tensor(np.random.default_rng(5).normal(size=(N, widths[0])))
    if repeated:
        x[-1] = x[0]
    network = Network(activation, widths, C_b, 1.7, 0.4, 0.8)
    # one neuron's moments for three and more inputs, where two would make tens of thousands of components
    return Target(network, x, tuple(range(2, len(widths))), frozenset({"A"} if N < 3 else {"Theta"}), dtype)


def moments(samples: Samples) -> torch.Tensor:
    """All products of up to three of the components of z and H, averaged: (layer, product)."""
    assert samples.ntk is not None
    count = len(samples.metric)
    z, H = samples.preactivation.flatten(2), samples.ntk.flatten(2)
    by_layer = []
    for one in torch.cat([z, H], 2).unbind(1):
        left, right = torch.triu_indices(one.shape[1], one.shape[1])
        pairs = one[:, left] * one[:, right]
        by_layer.append(torch.cat([one.mean(0), pairs.mean(0), (pairs.T @ one).flatten() / count]))
    return torch.stack(by_layer)


def batches(target: Target, sampler: str, count: int) -> torch.Tensor:
    streams = Streams(sampler, torch.device("cpu"))
    draw = marginal_samples if sampler == "marginal" else partial(weight_samples, law="normal")
    return torch.stack([moments(draw(target, BATCH, partial(streams.generator, batch))) for batch in range(count)])


def deviations(target: Target, count: int) -> torch.Tensor:
    """Differences of moments in units of their standard error."""
    found = {sampler: batches(target, sampler, count) for sampler in ("marginal", "weights")}
    mean = {sampler: values.mean(0) for sampler, values in found.items()}
    variance = sum(values.var(0) / count for values in found.values())
    assert isinstance(variance, torch.Tensor)
    scale = mean["weights"].abs() + 1e-3
    return (mean["marginal"] - mean["weights"]) / (variance + (1e-6 * scale) ** 2).sqrt()  # float32 at exact constants


def drawn(target: Target) -> Target:
    """The same target with the NTK drawn and not averaged."""

    class Drawn(Target):
        forward_means = False

    return Drawn(target.network, target.x, target.layers, target.tensors, target.dtype)


@pytest.mark.parametrize(
    ("name", "repeated", "C_b"),
    [
        ("gelu", False, 0.3),
        ("gelu", True, 0.0),
        ("relu, width = inputs", False, 0.3),
        ("tanh, width < inputs", True, 0.3),
        ("relu, dead layers", False, 0.0),
    ],
)
def test_moments_up_to_third_order(name: str, repeated: bool, C_b: float) -> None:
    assert float(deviations(drawn(make_target(name, repeated, C_b)), 40).abs().max()) < BOUND


@pytest.mark.slow
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("C_b", [0.0, 0.3])
@pytest.mark.parametrize("name", CASES)
def test_moments_up_to_third_order_of_many_networks(name: str, repeated: bool, C_b: float) -> None:
    assert float(deviations(drawn(make_target(name, repeated, C_b)), 400).abs().max()) < MANY_BOUND


def test_float64_agrees_too() -> None:
    assert float(deviations(drawn(make_target("gelu", True, 0.3, torch.float64)), 40).abs().max()) < BOUND


@pytest.mark.parametrize("name", ["gelu", "relu, width = inputs"])
def test_drawn_ntks_average_to_their_mean_given_the_forward_pass(name: str) -> None:
    """Both from the same forward passes, so that only the noise of the backward passes is left in the difference."""
    target = replace(make_target(name, False, 0.3, torch.float64), tensors=frozenset({"Theta", "F"}))
    streams = Streams("paired", torch.device("cpu"))
    differences = []
    for batch in range(40):
        generator = partial(streams.generator, batch)
        averaged, one = (marginal_samples(which, BATCH, generator) for which in (target, drawn(target)))
        assert one.ntk is not None
        torch.testing.assert_close(one.metric, averaged.metric)
        assert averaged.ntk is None
        pairs = [
            (a, b)
            for a, b in ((one.ntk_mean, averaged.ntk_mean), (one.cross, averaged.cross))
            if a is not None and b is not None
        ]
        assert len(pairs) == 2
        (mean, mean_given), (cross, cross_given) = pairs
        differences.append(torch.cat([(mean - mean_given).mean(0).flatten(), (cross - cross_given).flatten()]))
    scatter = torch.stack(differences)
    assert float((scatter.mean(0) / (scatter.std(0) / 40**0.5)).abs().max()) < BOUND


def test_a_repeated_input_gives_equal_outputs_and_kernels() -> None:
    target = drawn(make_target("tanh, width < inputs", True, 0.3, torch.float64))
    streams = Streams("repeated", torch.device("cpu"))
    samples = marginal_samples(target, 100, partial(streams.generator, 0))
    torch.testing.assert_close(samples.preactivation[..., 0], samples.preactivation[..., 3])
    assert samples.ntk is not None
    torch.testing.assert_close(samples.ntk[..., 0, :], samples.ntk[..., 3, :])
