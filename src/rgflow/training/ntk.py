"""The NTK of every member by structured backward passes: no Jacobian is ever formed."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from rgflow.network import Network
from rgflow.training.mlp import ForwardPass, Parameters, cotangents, run_forward


def empirical_ntk(
    network: Network, parameters: Parameters, inputs: torch.Tensor, outputs: int | None = None
) -> torch.Tensor:
    """Return H_{ij;ab} of each member.

    With S the signals entering layer l and Delta_i the cotangents of output i at its preactivations,
    H_{ij;ab} = sum over layers of (lambda_b + lambda_W / n_{l-1} S_a . S_b) (Delta_{i;a} . Delta_{j;b}).

    Parameters
    ----------
    network, parameters
        The networks.
    inputs
        Shape (sample, n_0).
    outputs
        How many output components, from the first on; None for all.

    Returns
    -------
    torch.Tensor
        Shape (member, output, output, sample, sample).
    """
    run = run_forward(network, parameters, inputs)
    ntk = torch.zeros((), dtype=inputs.dtype, device=inputs.device)
    for layer, cotangent in _output_cotangents(parameters, run, outputs or network.widths[-1]):
        signal, at = run.signals[layer - 1], layer - 1
        metric = network.lambda_b[at] + network.lambda_W[at] / network.widths[at] * (signal @ signal.mT)
        members, components, samples, _ = cotangent.shape
        rows = cotangent.flatten(1, 2)
        overlap = (rows @ rows.mT).view(members, components, samples, components, samples).transpose(2, 3)
        ntk = ntk + metric.unsqueeze(-3).unsqueeze(-3) * overlap
    return ntk


def _output_cotangents(parameters: Parameters, run: ForwardPass, outputs: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (l, Delta^(l)) for l = L..1, with Delta of shape (member, output, sample, n_l), one start for each output."""
    starts = []
    for component in range(outputs):
        start = torch.zeros_like(run.outputs)
        start[..., component] = 1.0
        starts.append(cotangents(parameters, run, start))
    for layers in zip(*starts, strict=True):
        yield layers[0][0], torch.stack([cotangent for _, cotangent in layers], dim=1)


def hidden_metrics(network: Network, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
    """Return G_ab = C_b + C_W / n_{l-1} sum_j sigma_{j;a} sigma_{j;b} of layers l = 2..L, the kernels that hidden layers make.

    C_b and C_W are those of the initialization, where E[G] = E[z^(l) z^(l)].

    Parameters
    ----------
    network, parameters
        The networks, of two layers or more.
    inputs
        Shape (sample, n_0).

    Returns
    -------
    torch.Tensor
        Shape (member, layer, sample, sample).
    """
    signals = run_forward(network, parameters, inputs).signals[1:]
    scales = zip(signals, network.C_b[1:], network.C_W[1:], network.widths[1:], strict=False)
    return torch.stack([C_b + C_W / n * (signal @ signal.mT) for signal, C_b, C_W, n in scales], dim=1)
