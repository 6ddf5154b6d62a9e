"""Networks batched over members: parameters, forward pass, cotangents.

Tensors carry the member first and the sample before the neuron: weights (member, n_l, n_{l-1}), biases (member, 1, n_l),
preactivations (member, sample, n_l). A layer of the whole batch is then one batched matrix product whose rows are long, which
is faster than products of few columns. The hand-written backward pass hands out one layer at a time, which lets the optimizer
fuse the gradient into its update and never store it; in training all arrays are used again in the next step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch

from rgflow.architectures.architecture import Architecture
from rgflow.network import Network
from rgflow.training.fused import ActivationKernels, activation_kernels


@dataclass(frozen=True)
class Parameters:
    """Weights and biases of layers 1..L (list position l - 1) of a batch of networks."""

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]

    @cached_property
    def transposed(self) -> list[torch.Tensor]:
        """Views of the weights, (member, n_{l-1}, n_l)."""
        return [weight.mT for weight in self.weights]


@dataclass(frozen=True)
class ForwardPass:
    """Outputs z^(L), the signals entering each layer (inputs, then sigma(z^(l))) and, for l = 1..L-1, the traces that the
    activations' kernels pull cotangents back with."""

    outputs: torch.Tensor
    signals: list[torch.Tensor]
    traces: list[torch.Tensor]
    kernels: list[ActivationKernels]
    architecture: Architecture


class Buffers:
    """Arrays that are overwritten step after step; what a pass returned is gone with the next one.

    Parameters
    ----------
    parameters
        The networks that are trained.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.weights = parameters.weights
        self.arrays: dict[int, tuple[list[torch.Tensor], list[torch.Tensor]]] = {}

    def take(self, samples: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """z^(1..L) and Delta^(1..L-1) for a number of samples, (member, sample, n_l) each."""
        if samples not in self.arrays:
            z, Delta = (
                [weight.new_empty(weight.shape[0], samples, weight.shape[1]) for weight in weights]
                for weights in (self.weights, self.weights[:-1])
            )
            self.arrays[samples] = z, Delta
        return self.arrays[samples]


def draw_parameters(network: Network, members: int, generator: torch.Generator, dtype: torch.dtype) -> Parameters:
    """Draw biases from N(0, C_b) and weights from N(0, C_W / n_{l-1}), layer by layer, weights first."""
    weights, biases = [], []
    for C_b, C_W, n_in, n_out in zip(network.C_b, network.C_W, network.widths, network.widths[1:], strict=False):
        weights.append(_normal((members, n_out, n_in), C_W / n_in, generator, dtype))
        biases.append(_normal((members, 1, n_out), C_b, generator, dtype))
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
    """Yield z^(1), ..., z^(L), shape (member, sample, n_l), for inputs of shape (sample, n_0)."""
    z = torch.baddbmm(parameters.biases[0], _of_each(inputs, parameters), parameters.transposed[0])
    yield z
    later = zip(parameters.transposed[1:], parameters.biases[1:], strict=True)
    for layer, (weight, bias) in enumerate(later, start=1):
        z = _next(network.architecture, torch.baddbmm(bias, network.activation_of(layer)(z), weight), z)
        yield z


def outputs(network: Network, parameters: Parameters, inputs: torch.Tensor) -> torch.Tensor:
    """Return z^(L), shape (member, sample, n_L), for inputs of shape (sample, n_0)."""
    return run_forward(network, parameters, inputs).outputs


def run_forward(
    network: Network, parameters: Parameters, inputs: torch.Tensor, buffers: Buffers | None = None
) -> ForwardPass:
    """Run the networks on inputs (sample, n_0), or (member, sample, n_0), keeping what the backward pass needs."""
    signals, traces, used = [_of_each(inputs, parameters)], [], layer_kernels(network)
    outs = [None] * network.depth if buffers is None else buffers.take(inputs.shape[-2])[0]
    z = torch.baddbmm(parameters.biases[0], signals[0], parameters.transposed[0], out=outs[0])
    later = zip(used, parameters.transposed[1:], parameters.biases[1:], outs[1:], strict=True)
    for activation, weight, bias, out in later:
        signal, trace = activation.forward(z)
        signals.append(signal)
        traces.append(trace)
        z = _next(network.architecture, torch.baddbmm(bias, signal, weight, out=out), z)
    return ForwardPass(z, signals, traces, used, network.architecture)


def cotangents(
    parameters: Parameters, run: ForwardPass, output_cotangent: torch.Tensor, buffers: Buffers | None = None
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield (l, Delta^(l)) for l = L..1, the cotangents of b + W S, with Delta^(l) = sigma'(z^(l)) * (W^(l+1)^T Delta^(l+1)).

    That is of plain networks, where they are those of z^(l). In others these are also passed down the skip connection, and
    Delta^(l) is the branch's scale times them. What is below is formed before (l, Delta^(l)) is handed out: the receiver
    may change the weights of layer l in place.
    """
    architecture, cotangent = run.architecture, output_cotangent
    outs = [None] * len(run.kernels) if buffers is None else buffers.take(output_cotangent.shape[1])[1]
    for layer in range(len(run.kernels), 0, -1):
        branch = architecture.scaled(cotangent)
        below = torch.bmm(branch, parameters.weights[layer], out=outs[layer - 1])
        run.kernels[layer - 1].pull_back(below, run.traces[layer - 1])
        below = architecture.add_skip(below, cotangent)
        yield layer + 1, branch
        cotangent = below
    yield 1, cotangent


def layer_kernels(network: Network) -> list[ActivationKernels]:
    """The kernels of the activations of layers 1..L-1; z must stay where a skip connection takes it up."""
    overwrite = network.architecture.skip == 0.0
    return [activation_kernels(activation, overwrite) for activation in network.activations]


def _next(architecture: Architecture, affine: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """z of a layer beyond the first from b + W S and z of the layer below."""
    z: torch.Tensor = architecture.add_skip(architecture.scaled(affine), below)
    return z


def add_gradients_(
    values: tuple[torch.Tensor, torch.Tensor],
    cotangent: torch.Tensor,
    signal: torch.Tensor,
    scales: tuple[float, float],
    decay: float = 1.0,
) -> None:
    """Set weights and biases, or arrays shaped as they are, to decay * (what they are) + scale * gradient, in place.

    The gradients, sums over samples of Delta_i S_j and of Delta_i, are formed and added in one product each.
    """
    (weight, bias), (weight_scale, bias_scale) = values, scales
    if weight_scale != 0.0 or decay != 1.0:
        weight.baddbmm_(cotangent.mT, signal, beta=decay, alpha=weight_scale)
    if bias_scale != 0.0 or decay != 1.0:
        ones = _ones(bias.shape[0], cotangent.shape[1], cotangent.dtype, cotangent.device)
        bias.baddbmm_(ones, cotangent, beta=decay, alpha=bias_scale)


@lru_cache(maxsize=8)
def _ones(members: int, samples: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.ones(1, 1, samples, dtype=dtype, device=device).expand(members, -1, -1)


def _of_each(inputs: torch.Tensor, parameters: Parameters) -> torch.Tensor:
    """Inputs (member, sample, n_0), repeated without a copy if all members share them."""
    return inputs.expand(parameters.weights[0].shape[0], -1, -1) if inputs.dim() == 2 else inputs


def _normal(
    shape: tuple[int, int, int], variance: float, generator: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    draws = torch.empty(shape, dtype=dtype, device=generator.device)
    return draws.normal_(0.0, math.sqrt(variance), generator=generator)
