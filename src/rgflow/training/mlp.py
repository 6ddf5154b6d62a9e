"""Networks batched over members: parameters, forward pass, cotangents.

Tensors carry the member first and the sample last: weights (member, n_l, n_{l-1}), biases (member, n_l, 1),
preactivations (member, n_l, sample), so that a layer of the whole batch is one batched matrix product. The hand-written
backward pass hands out one layer at a time, which lets the optimizer fuse the gradient into its update and never store
it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from rgflow.architectures.architecture import Architecture
from rgflow.network import Network


@dataclass(frozen=True)
class Parameters:
    """Weights and biases of layers 1..L (list position l - 1) of a batch of networks."""

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]


@dataclass(frozen=True)
class ForwardPass:
    """Outputs z^(L), the signals entering each layer (inputs, then sigma(z^(l))) and sigma'(z^(l)) for l = 1..L-1."""

    outputs: torch.Tensor
    signals: list[torch.Tensor]
    derivatives: list[torch.Tensor]
    architecture: Architecture


def draw_parameters(network: Network, members: int, generator: torch.Generator, dtype: torch.dtype) -> Parameters:
    """Draw biases from N(0, C_b) and weights from N(0, C_W / n_{l-1}), layer by layer, weights first."""
    weights, biases = [], []
    for C_b, C_W, n_in, n_out in zip(network.C_b, network.C_W, network.widths, network.widths[1:], strict=False):
        weights.append(_normal((members, n_out, n_in), C_W / n_in, generator, dtype))
        biases.append(_normal((members, n_out, 1), C_b, generator, dtype))
    return Parameters(weights, biases)


def with_twins(parameters: Parameters) -> Parameters:
    """Return each network followed by its twin with the sign of W^(L) and b^(L) changed: z is odd, the NTK is even."""
    weights, biases = (
        [values.repeat_interleave(2, dim=0) for values in kind] for kind in (parameters.weights, parameters.biases)
    )
    for last in (weights[-1], biases[-1]):
        last[1::2].neg_()
    return Parameters(weights, biases)


def preactivations(network: Network, parameters: Parameters, inputs: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield z^(1), ..., z^(L), shape (member, n_l, sample), for inputs of shape (n_0, sample)."""
    z = _affine(parameters.weights[0], parameters.biases[0], inputs)
    yield z
    for layer, (weight, bias) in enumerate(zip(parameters.weights[1:], parameters.biases[1:], strict=True), start=1):
        z = _next(network.architecture, _affine(weight, bias, network.activation_of(layer)(z)), z)
        yield z


def outputs(network: Network, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
    """Return z^(L), shape (member, n_L, sample), for inputs of shape (n_0, sample)."""
    *_, z = preactivations(network, parameters, inputs)
    return z


def forward(network: Network, parameters: Parameters, inputs: torch.Tensor) -> ForwardPass:
    """Run the networks on inputs (n_0, sample), or (member, n_0, sample), keeping what the backward pass needs."""
    signals, derivatives = [inputs], []
    z = _affine(parameters.weights[0], parameters.biases[0], inputs)
    for layer, (weight, bias) in enumerate(zip(parameters.weights[1:], parameters.biases[1:], strict=True), start=1):
        signal, derivative = network.activation_of(layer).value_and_derivative(z)
        signals.append(signal)
        derivatives.append(derivative)
        z = _next(network.architecture, _affine(weight, bias, signal), z)
    return ForwardPass(z, signals, derivatives, network.architecture)


def cotangents(
    parameters: Parameters, run: ForwardPass, output_cotangent: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (l, Delta^(l)) for l = L..1, the cotangents of b + W S, with Delta^(l) = sigma'(z^(l)) * (W^(l+1)^T Delta^(l+1)).

    That is of plain networks, where they are those of z^(l). In others these are also passed down the skip connection, and
    Delta^(l) is the branch's scale times them. What is below is formed before (l, Delta^(l)) is handed out: the receiver
    may change the weights of layer l in place.
    """
    architecture, cotangent = run.architecture, output_cotangent
    for layer in range(len(parameters.weights), 1, -1):
        branch = architecture.scaled(cotangent)
        below = torch.bmm(parameters.weights[layer - 1].mT, branch).mul_(run.derivatives[layer - 2])
        below = architecture.add_skip(below, cotangent)
        yield layer, branch
        cotangent = below
    yield 1, cotangent


def add_gradient_(weight: torch.Tensor, cotangent: torch.Tensor, signal: torch.Tensor, scale: float) -> None:
    """Add scale * sum over samples of Delta_i S_j to the weights in place, in one product.

    Inputs shared by all members, shape (n_0, sample), let the members fold into the rows of a single matrix product.
    """
    if signal.dim() == 2:
        weight.flatten(0, 1).addmm_(cotangent.flatten(0, 1), signal.mT, alpha=scale)
    else:
        weight.baddbmm_(cotangent, signal.mT, alpha=scale)


def _next(architecture: Architecture, affine: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """z of a layer beyond the first from b + W S and z of the layer below."""
    z: torch.Tensor = architecture.add_skip(architecture.scaled(affine), below)
    return z


def _affine(weight: torch.Tensor, bias: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    if signal.dim() == 2:
        return torch.matmul(weight, signal).add_(bias)
    return torch.baddbmm(bias, weight, signal)


def _normal(
    shape: tuple[int, int, int], variance: float, generator: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    draws = torch.empty(shape, dtype=dtype, device=generator.device)
    return draws.normal_(0.0, math.sqrt(variance), generator=generator)
