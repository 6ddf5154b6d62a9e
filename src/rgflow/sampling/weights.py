"""The weight sampler: explicit weights and biases, the oracle of the marginal one and the way to other weight laws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.sampling.algebra import inner, normal_rows
from rgflow.sampling.samples import Samples, start_ntk, with_ntk
from rgflow.sampling.skip import SkipMoments, first_moments, next_moments, with_skip
from rgflow.sampling.target import Target

STREAM = 0
_CUT = 2.0  # standard deviations at which the truncated normal ends
WeightLaw = Callable[[tuple[int, ...], torch.dtype, torch.Generator], Tensor]


class DrawnLayer(NamedTuple):
    """The forward pass at layer l: weights, metric, rate and skip as in the marginal sampler, and the activations."""

    weights: Tensor  # (members, n_l, n_{l-1})
    metric: Tensor  # (members, N, N)
    rate: Tensor  # (members, N, N)
    z: Tensor  # (members, N, n_l)
    sigma: Tensor
    slope: Tensor
    skip: SkipMoments


def weight_samples(target: Target, members: int, generator: Callable[[int], torch.Generator], law: str) -> Samples:
    """Draw members of the ensemble with explicit weights; all layers of a member belong to one network.

    Parameters
    ----------
    target
        What to draw.
    members
        How many.
    generator
        Generator of each stream; only one is used.
    law
        WeightLaw of the weights, of :data:`WEIGHT_LAWS`. Biases are normal.
    """
    layers = weight_forward(target, members, generator(STREAM), WEIGHT_LAWS[law])
    reported = [layers[layer - 1] for layer in target.layers]
    samples = Samples(
        metric=torch.stack([layer.metric.expand(members, -1, -1) for layer in reported], 1),
        preactivation=torch.stack([layer.z[..., : target.neurons].mT.double() for layer in reported], 1),
    )
    if not target.network.architecture.alike:
        samples = with_skip(samples, [layer.skip for layer in reported])
    if not target.ntk:
        return samples
    ntk = torch.stack(
        [weight_backward(layers[:layer], target.outputs, target.network.architecture.skip) for layer in target.layers],
        1,
    )
    return with_ntk(samples, ntk, target.cross)


def weight_forward(target: Target, members: int, generator: torch.Generator, law: WeightLaw) -> list[DrawnLayer]:
    """Draw the layers 1, 2, ... up to the last reported one."""
    sigma, moment = target.x.to(target.dtype).expand(members, -1, -1), target.first_moment
    network, skip = target.network, first_moments(target)
    layers: list[DrawnLayer] = []
    for index in range(1, target.layers[-1] + 1):
        C_b, C_W, lambda_b, lambda_W = network.hyperparameters(index)
        width, width_below = target.width(index), sigma.shape[-1]
        weights = law((members, width, width_below), target.dtype, generator).mul_(math.sqrt(C_W / width_below))
        biases = normal_rows((members, 1, width), target.dtype, generator).mul_(math.sqrt(C_b))
        z = torch.baddbmm(biases, sigma, weights.mT)
        if layers:
            z = network.architecture.add_skip(z, layers[-1].z[..., :width])
        hidden = index in target.hidden
        sigma, slope = (
            network.activation_of(index).value_and_derivative(z) if hidden else (z, z)
        )  # the top has no sigma
        layers.append(DrawnLayer(weights, C_b + C_W * moment, lambda_b + lambda_W * moment, z, sigma, slope, skip))
        moment = inner(sigma, sigma) / width
        if hidden and not network.architecture.alike:
            skip = next_moments(target, z)
    return layers


def weight_backward(layers: list[DrawnLayer], outputs: int, skip: float) -> Tensor:
    """NTK of the leading neurons of the last of ``layers``: (members, output, output, N, N)."""
    top = layers[-1]
    members, N, _ = top.z.shape
    ntk = start_ntk(top.rate, outputs)
    v = top.weights[:, :outputs]  # W^T Delta for the unit vectors of the neurons, whatever the input
    delta_above = torch.eye(outputs, dtype=top.z.dtype, device=top.z.device)[:, None]
    for here in layers[-2::-1]:
        delta = v.reshape(members, outputs, -1, here.z.shape[-1]) * here.slope[:, None]
        if skip:
            delta[..., : delta_above.shape[-1]] += skip * delta_above
            delta_above = delta
        delta = delta.flatten(1, 2)
        ntk = ntk + here.rate[:, None, :, None, :] * inner(delta, delta).view(members, outputs, N, outputs, N)
        v = torch.bmm(delta, here.weights)
    return ntk.transpose(2, 3).expand(members, -1, -1, -1, -1)


def _uniform(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    bound = math.sqrt(3.0)
    return torch.empty(shape, dtype=dtype, device=generator.device).uniform_(-bound, bound, generator=generator)


def _truncated_normal(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    mass = math.erf(_CUT / math.sqrt(2.0))
    variance = 1.0 - 2.0 * _CUT * math.exp(-(_CUT**2) / 2.0) / (math.sqrt(2.0 * math.pi) * mass)
    quantile = torch.empty(shape, dtype=dtype, device=generator.device).uniform_(-mass, mass, generator=generator)
    return quantile.erfinv_().mul_(math.sqrt(2.0 / variance))


def _discrete(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    signs = torch.empty(shape, dtype=dtype, device=generator.device).random_(0, 2, generator=generator)
    return signs.mul_(2.0).sub_(1.0)


def _orthogonal(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Haar-distributed matrices with orthonormal rows or columns, whichever are fewer, scaled to unit variance."""
    members, rows, columns = shape
    tall = (members, max(rows, columns), min(rows, columns))
    q, r = torch.linalg.qr(normal_rows(tall, torch.float64, generator))
    haar: Tensor = q * torch.sgn(r.diagonal(dim1=1, dim2=2))[:, None, :] * math.sqrt(max(rows, columns))
    return (haar if rows >= columns else haar.mT).to(dtype).contiguous()


# laws of one layer's weights, scaled to zero mean and unit variance
WEIGHT_LAWS: dict[str, WeightLaw] = {
    "normal": normal_rows,
    "uniform": _uniform,
    "truncated_normal": _truncated_normal,
    "discrete": _discrete,
    "orthogonal": _orthogonal,
}
