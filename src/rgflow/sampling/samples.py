"""What both samplers give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Skip:
    """Moments where neurons are not alike, see :mod:`rgflow.sampling.skip`.

    Attributes
    ----------
    mean
        (member, layer, N): mean of z_a given the layer below, averaged over neurons.
    same_zG, same_GG
        (layer, N, N, N) and (layer, N, N, N, N), means over the members: what a neuron and itself would add to the
        averages over pairs of neurons; None unless wanted.
    """

    mean: Tensor
    same_zG: Tensor | None
    same_GG: Tensor | None


@dataclass(frozen=True, eq=False)
class Samples:
    """Draws of some members, float64, axes (member, layer, ...).

    Attributes
    ----------
    metric
        (member, layer, N, N): G_12 = C_b + C_W/n sum_j sigma_j1 sigma_j2, the second moment of a layer's preactivations
        given the layer before; averaged over neurons if they are not alike.
    preactivation
        (member, layer, neuron, N): z_{i;a}.
    ntk
        (member, layer, output, output, N, N): H_{ij;ab}; None unless drawn.
    ntk_mean
        (member, layer, N, N): H_{ii;ab}, averaged over neurons or more; None unless wanted.
    cross
        (layer, N, N, N, N), slots a c b d: mean over the members of z_ia z_jb H_ij;cd, i and j different neurons, or of
        its average over more; None unless wanted.
    skip
        Moments where neurons are not alike.
    """

    metric: Tensor
    preactivation: Tensor
    ntk: Tensor | None = None
    ntk_mean: Tensor | None = None
    cross: Tensor | None = None
    skip: Skip | None = None


def with_ntk(samples: Samples, ntk: Tensor, cross: bool) -> Samples:
    """The same samples with a drawn NTK and what follows from it, the mean with preactivations if `cross`."""
    mean = None
    if cross:
        z = samples.preactivation
        mean = torch.einsum("mla,mlb,mlcd->lacbd", z[:, :, 0], z[:, :, 1], ntk[:, :, 0, 1]) / len(z)
    return replace(samples, ntk=ntk, ntk_mean=ntk.diagonal(dim1=2, dim2=3).mean(-1), cross=mean)


def start_ntk(rate: Tensor, outputs: int) -> Tensor:
    """Contribution delta_ij (lambda_b + lambda_W/n sum sigma sigma) of a layer's own parameters to its NTK.

    Parameters
    ----------
    rate
        (members, N, N): the bracket.

    Returns
    -------
    (members, output, N, output, N).
    """
    return rate[:, None, :, None, :] * torch.eye(outputs, dtype=rate.dtype, device=rate.device)[:, None, :, None]
