"""Averages over pairs of different neurons of a residual network against the literal sums over pairs."""

from __future__ import annotations

from itertools import permutations

import torch

from rgflow.network import Network
from rgflow.sampling.estimators import sample_means
from rgflow.sampling.samples import Samples
from rgflow.sampling.skip import first_moments, next_moments, with_skip
from rgflow.sampling.target import Target

XI_2 = 0.7
TENSORS = frozenset({"K", "T3", "V"})
MEMBERS, N, n = 3, 2, 4


def make_target(tensors: frozenset[str] = TENSORS) -> Target:
    network = Network("relu", (N, n, n), 0.0, 2.0, xi_2=XI_2)
    return Target(network, torch.eye(N, dtype=torch.float64), (1, 2), tensors, torch.float64)


def test_pairs_of_neurons_are_different_ones() -> None:
    random = torch.Generator().manual_seed(1)
    z = torch.randn(MEMBERS, N, n, dtype=torch.float64, generator=random)
    root = torch.randn(MEMBERS, N, N, dtype=torch.float64, generator=random)
    branch = root @ root.mT
    mean = XI_2 * z  # of each neuron given the layer below, and its second moment
    second = branch[..., None] + mean[:, :, None] * mean[:, None]
    pairs = list(permutations(range(n), 2))
    zG = sum(torch.einsum("ma,mbc->abc", mean[..., i], second[..., j]) for i, j in pairs) / len(pairs) / MEMBERS
    GG = sum(torch.einsum("mab,mcd->abcd", second[..., i], second[..., j]) for i, j in pairs) / len(pairs) / MEMBERS
    target = make_target()
    bare = Samples(metric=torch.stack([torch.zeros_like(branch), branch], 1), preactivation=torch.empty(0))
    found = sample_means(with_skip(bare, [first_moments(target), next_moments(target, z)]), target.estimators.values())
    layer = 1
    torch.testing.assert_close(torch.tensor(found["mean_z"][layer]), mean.mean((0, 2)))
    torch.testing.assert_close(torch.tensor(found["mean_G"][layer]), second.mean((0, 3)))
    torch.testing.assert_close(torch.tensor((found["mean_zG"] - found["mean_zG_same"])[layer]), zG)
    torch.testing.assert_close(torch.tensor((found["mean_GG"] - found["mean_GG_same"])[layer]), GG)
    for values in found.values():
        assert (values[0] == 0.0).all()


def test_the_kernel_alone_needs_no_pairs() -> None:
    """One neuron per layer has none, and many inputs would make N^4 of them."""
    target = make_target(frozenset({"K", "Theta"}))
    moments = next_moments(target, torch.ones(1, N, 1, dtype=torch.float64))
    assert moments.same_GG is None
    assert moments.same_zG is None
    torch.testing.assert_close(moments.second, torch.full((1, N, N), XI_2**2, dtype=torch.float64))
