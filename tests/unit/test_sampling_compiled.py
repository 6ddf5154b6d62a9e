"""Compiled loops against their twins in torch, which other devices and many inputs take: the same draws, the same numbers."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import Tensor

from rgflow.network import Network
from rgflow.sampling.marginal import marginal_samples
from rgflow.sampling.rng import Streams
from rgflow.sampling.samples import Samples
from rgflow.sampling.target import Target

MEMBERS = 5


def draw(network: Network, x: Tensor, tensors: set[str], dtype: torch.dtype) -> Samples:
    target = Target(network, x, (1, 2, 4), frozenset(tensors), dtype)
    streams = Streams("twins", torch.device("cpu"))
    return marginal_samples(target, MEMBERS, lambda stream: streams.generator(0, stream))


def inputs(kind: str) -> Tensor:
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return {"one": x[:1], "three": x[:3], "repeated": x[[0, 1, 0, 2]], "more than features": x}[kind]


@pytest.mark.parametrize("kind", ["one", "three", "repeated", "more than features"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "sin"])
@pytest.mark.parametrize("C_b", [0.0, 0.3])
def test_twins_agree(kind: str, activation: str, C_b: float, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(activation, (3, 9, 4, 70, 2), C_b, 1.7)
    arguments = (network, inputs(kind), {"Theta", "D", "F", "A"}, torch.float64)
    compiled = draw(*arguments)
    monkeypatch.setattr("rgflow.sampling.algebra._FEW", 0)
    torch_twin = draw(*arguments)
    for name in (field.name for field in fields(Samples)):
        ours, theirs = getattr(compiled, name), getattr(torch_twin, name)
        if theirs is not None:
            # some of these narrow layers have nearly dependent activations, which cost digits
            torch.testing.assert_close(
                ours, theirs, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_twins_agree_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = (Network("gelu", (3, 50, 40, 30, 2), 0.1, 2.0), inputs("three"), {"Theta", "A"}, torch.float32)
    compiled = draw(*arguments)
    monkeypatch.setattr("rgflow.sampling.algebra._FEW", 0)
    torch_twin = draw(*arguments)
    torch.testing.assert_close(compiled.ntk, torch_twin.ntk, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(compiled.ntk_mean, torch_twin.ntk_mean, rtol=1e-3, atol=1e-4)


def test_dead_layers_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Width one: ReLU neurons that are off for all inputs make covariances of rank zero."""
    arguments = (Network("relu", (3, 1, 1, 1, 1), 0.0, 2.0), inputs("three"), {"Theta"}, torch.float64)
    compiled = draw(*arguments)
    monkeypatch.setattr("rgflow.sampling.algebra._FEW", 0)
    torch.testing.assert_close(compiled.ntk_mean, draw(*arguments).ntk_mean)
    assert bool((compiled.metric == 0).all(2).all(2).any())
