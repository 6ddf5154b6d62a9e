"""What both samplers take and give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rgflow.network import Network
from rgflow.sampling.memory import FEW_INPUTS

NTK_TENSORS = frozenset({"Theta", "D", "F", "A", "B"})
PAIR_TENSORS = frozenset({"F", "A", "B"})  # those of two different neurons


@dataclass(frozen=True, eq=False)
class Target:
    """What to draw.

    Attributes
    ----------
    network
        The network.
    x
        (N, n_0) float64 inputs, on the device where the ensemble is drawn.
    layers
        Layers to report, increasing, within 1..L.
    tensors
        Names of the tensors to be estimated.
    dtype
        torch.float32 or torch.float64, of preactivations and cotangents.
    """

    network: Network
    x: Tensor
    layers: tuple[int, ...]
    tensors: frozenset[str]
    dtype: torch.dtype

    @property
    def outputs(self) -> int:
        """Neurons of each reported layer whose NTK is drawn: the leading one or two."""
        if self.network.residual:
            return self.neurons
        return 2 if self.tensors & PAIR_TENSORS else 1

    @property
    def neurons(self) -> int:
        """Neurons of each reported layer whose preactivations are kept: the leading two, if all these layers have two."""
        return min(2, *(self.network.widths[layer] for layer in self.layers))

    @property
    def ntk(self) -> bool:
        """Whether anything of the NTK is wanted."""
        return bool(self.tensors & NTK_TENSORS)

    @property
    def forward_means(self) -> bool:
        """Whether the marginal sampler averages the NTK over all backward passes (of plain networks: a closed form)."""
        return self.ntk and len(self.x) <= FEW_INPUTS and not self.network.residual

    @property
    def backward(self) -> bool:
        """Whether the marginal sampler draws backward passes."""
        return bool(self.tensors & {"A", "B"}) or (self.ntk and not self.forward_means)

    @property
    def pairs_of_neurons(self) -> bool:
        """Whether averages over pairs of neurons are wanted that differ in their means, those of a residual network."""
        return self.network.residual and bool(self.tensors & {"T3", "V"})

    @property
    def first_moment(self) -> Tensor:
        """Inner products x_1 . x_2 / n_0 of the inputs, (1, N, N)."""
        return (self.x @ self.x.T / self.x.shape[1])[None]

    @property
    def hidden(self) -> range:
        """Hidden layers below the last reported one."""
        return range(1, self.layers[-1])

    def width(self, layer: int) -> int:
        """Neurons of a layer that have to be drawn: all, if a later layer is reported."""
        return self.network.widths[layer] if layer in self.hidden else self.neurons


@dataclass(frozen=True, eq=False)
class Skip:
    """Moments that a residual network has besides, see :mod:`rgflow.sampling.skip`.

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
        given the layer before; in a residual network averaged over neurons.
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
        Moments of a residual network.
    """

    metric: Tensor
    preactivation: Tensor
    ntk: Tensor | None = None
    ntk_mean: Tensor | None = None
    cross: Tensor | None = None
    skip: Skip | None = None


def with_ntk(samples: Samples, ntk: Tensor, target: Target) -> Samples:
    """The same samples with a drawn NTK and what follows from it."""
    cross = None
    if "F" in target.tensors:
        z = samples.preactivation
        cross = torch.einsum("mla,mlb,mlcd->lacbd", z[:, :, 0], z[:, :, 1], ntk[:, :, 0, 1]) / len(z)
    return replace(samples, ntk=ntk, ntk_mean=ntk.diagonal(dim1=2, dim2=3).mean(-1), cross=cross)


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
