"""What both samplers take and give."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rgflow.network import Network


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
    outputs
        Neurons of each reported layer whose preactivations and NTK are kept; the leading ones.
    ntk
        Whether the NTK is wanted.
    dtype
        torch.float32 or torch.float64, of preactivations and cotangents.
    """

    network: Network
    x: Tensor
    layers: tuple[int, ...]
    outputs: int
    ntk: bool
    dtype: torch.dtype

    @property
    def first_moment(self) -> Tensor:
        """Inner products x_1 . x_2 / n_0 of the inputs, (1, N, N)."""
        return (self.x @ self.x.T / self.x.shape[1])[None]

    @property
    def hidden(self) -> range:
        """Hidden layers below the last reported one."""
        return range(1, self.layers[-1])

    def hyperparameters(self, layer: int) -> tuple[float, float, float, float]:
        """(C_b, C_W, lambda_b, lambda_W) of a layer 1..L."""
        network = self.network
        tensors = (network.C_b, network.C_W, network.lambda_b, network.lambda_W)
        C_b, C_W, lambda_b, lambda_W = (per_layer[layer - 1] for per_layer in tensors)
        return C_b, C_W, lambda_b, lambda_W

    def width(self, layer: int) -> int:
        """Neurons of a layer that have to be drawn: all, if a later layer is reported."""
        return self.network.widths[layer] if layer in self.hidden else self.outputs


@dataclass(frozen=True, eq=False)
class Samples:
    """Draws of some members, float64, axes (member, layer, ...).

    Attributes
    ----------
    metric
        (member, layer, N, N): G_12 = C_b + C_W/n sum_j sigma_j1 sigma_j2, the covariance of a layer's preactivations given
        the layer before.
    preactivation
        (member, layer, output, N): z_{i;a}.
    ntk
        (member, layer, output, output, N, N): H_{ij;ab}; None unless wanted.
    """

    metric: Tensor
    preactivation: Tensor
    ntk: Tensor | None


def joined(chunks: list[Samples]) -> Samples:
    """Samples of several chunks as one, in the given order."""
    ntk = [chunk.ntk for chunk in chunks if chunk.ntk is not None]
    return Samples(
        torch.cat([chunk.metric for chunk in chunks]),
        torch.cat([chunk.preactivation for chunk in chunks]),
        torch.cat(ntk) if ntk else None,
    )


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
