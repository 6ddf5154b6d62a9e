"""The NTK of every member by structured backward passes: no Jacobian is ever formed."""

from __future__ import annotations

import torch

from rgflow.network import Network
from rgflow.training.mlp import Parameters, cotangents, forward


def empirical_ntk(network: Network, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
    """Return H_{00;ab} of output component 0 of each member.

    With S the signals entering layer l and Delta the cotangents of output 0 at its preactivations,
    H_ab = sum over layers of (lambda_b + lambda_W / n_{l-1} S_a . S_b) (Delta_a . Delta_b).

    Parameters
    ----------
    network, parameters
        The networks.
    inputs
        Shape (n_0, sample).

    Returns
    -------
    torch.Tensor
        Shape (member, sample, sample).
    """
    run = forward(network, parameters, inputs)
    start = torch.zeros_like(run.outputs)
    start[:, 0] = 1.0
    ntk = torch.zeros((), dtype=inputs.dtype, device=inputs.device)
    for layer, cotangent in cotangents(parameters, run, start):
        signal, at = run.signals[layer - 1], layer - 1
        metric = network.lambda_b[at] + network.lambda_W[at] / network.widths[at] * (signal.mT @ signal)
        ntk = ntk + metric * (cotangent.mT @ cotangent)
    return ntk
