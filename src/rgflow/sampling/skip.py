"""What a skip connection adds to the moments of a layer given the layer below.

Given layer l, the neurons of z' = branch + skip z are independent with covariance G, that of the branch, but not alike: they
have means m_i = skip z_i of their own, and second moments X_i = G + m_i m_i^T. Correlators of two different neurons are
averages over pairs i != j: with bars for averages over the n neurons,

    E[z'_i1 z'_j2 z'_j3 | z] = bar m_1 bar X_23 - Cov(m_i1, X_i23) / (n - 1),
    E[z'_i1 z'_i2 z'_j3 z'_j4 | z] = bar X_12 bar X_34 - Cov(X_i12, X_i34) / (n - 1),

where Cov is the covariance over the neurons of one network: what a neuron and itself would add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.sampling.algebra import inner
from rgflow.sampling.samples import Samples, Skip
from rgflow.sampling.target import Target


class SkipMoments(NamedTuple):
    """Moments of one layer.

    Attributes
    ----------
    mean
        (members, N): skip z_a, averaged over neurons.
    second
        (members, N, N): skip^2 z_a z_b, averaged over neurons.
    same_zG, same_GG
        (N, N, N) and (N, N, N, N): the covariances over neurons, over n - 1, averaged over the members; None unless wanted.
    """

    mean: Tensor
    second: Tensor
    same_zG: Tensor | None
    same_GG: Tensor | None


def first_moments(target: Target) -> SkipMoments:
    """Those of the first layer, which has no skip connection: all zero."""
    N = len(target.x)
    zero = [target.x.new_zeros((N,) * legs) for legs in (1, 2, 3, 4)]
    same = zero[2:] if target.pairs_of_neurons else (None, None)
    return SkipMoments(zero[0][None], zero[1][None], *same)


def next_moments(target: Target, z: Tensor) -> SkipMoments:
    """Those of the layer above preactivations z (members, N, n)."""
    N, n = z.shape[1:]
    m = target.network.architecture.skip * z
    mean, second = m.double().mean(-1), inner(m, m) / n
    if not target.pairs_of_neurons:
        return SkipMoments(mean, second, None, None)
    mm, flat = (m[:, :, None] * m[:, None]).flatten(1, 2), second.flatten(1)
    same_zG, same_GG = _neuron_covariance(m, mm, mean, flat), _neuron_covariance(mm, mm, flat, flat)
    return SkipMoments(mean, second, same_zG.view((N,) * 3) / (n - 1), same_GG.view((N,) * 4) / (n - 1))


def _neuron_covariance(left: Tensor, right: Tensor, left_mean: Tensor, right_mean: Tensor) -> Tensor:
    """Covariance over the neurons of (members, A, n) with (members, B, n), averaged over the members: (A, B)."""
    products = inner(left, right) / left.shape[-1]
    return (products - left_mean[:, :, None] * right_mean[:, None]).mean(0)


def with_skip(samples: Samples, moments: Sequence[SkipMoments]) -> Samples:
    """The same samples with the moments of their layers: the metric becomes the second moment of a neuron."""
    members = len(samples.metric)
    second = torch.stack([one.second.expand(members, -1, -1) for one in moments], 1)
    mean = torch.stack([one.mean.expand(members, -1) for one in moments], 1)
    same_zG, same_GG = (_stacked([getattr(one, name) for one in moments]) for name in ("same_zG", "same_GG"))
    return replace(samples, metric=samples.metric + second, skip=Skip(mean, same_zG, same_GG))


def _stacked(parts: list[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.stack(present) if present else None
