"""The marginal sampler: exact draws of preactivations and NTK at finite width without drawing a weight matrix.

Given the activations S = sigma(z^(l)), (n_l, N), a layer's preactivations b + W S have independent rows N(0, G) with the
metric G = C_b + C_W/n_l S^T S. The backward pass meets the same weights only through v = W^T Delta. A prior draw of W and b
gives E = W^T Delta and e = b^T Delta: Gaussian columns with covariances C_W/n_l Delta^T Delta and C_b Delta^T Delta.
Conditioning it on the z^(l+1) already drawn (Matheron's rule) gives

    v = E + C_W/n_l S G^- (z^(l+1)T Delta - S^T E - e),

where G^- is any generalized inverse, so that repeated inputs, widths below the number of inputs and dead layers are exact too.
This costs O(n N) normals per layer instead of O(n^2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, generalized_inverse, inner, mix, normal_rows, tolerance
from rgflow.sampling.samples import Samples, Target, start_ntk

FORWARD = 0  # the stream of the forward pass; the backward pass from layer l has stream l - 1


@dataclass(frozen=True, eq=False)
class Layer:
    """The forward pass at layer l: what the backward passes through it need.

    Attributes
    ----------
    C_b, C_W
        Variances of a bias and of a weight (C_W/n_{l-1}) of this layer.
    rate
        (members, N, N): lambda_b + lambda_W/n_{l-1} sigma . sigma, what this layer's own parameters give to its NTK.
    metric
        (members, N, N): C_b + C_W/n_{l-1} sigma . sigma, the covariance of z.
    inverse
        Generalized inverse of the metric; None without NTK.
    z, sigma, slope
        (members, N, neurons): preactivation, activation, its derivative; the last two None where not needed.
    """

    C_b: float
    C_W: float
    rate: Tensor
    metric: Tensor
    inverse: Tensor | None
    z: Tensor
    sigma: Tensor | None
    slope: Tensor | None


class Cotangents(NamedTuple):
    """Inner products of the cotangents Delta of a layer: all that the layer below needs to know of them.

    Attributes
    ----------
    overlap
        (members, N, M): z . Delta.
    gram
        (members, M, M): Delta . Delta.
    """

    overlap: Tensor
    gram: Tensor


def marginal_samples(target: Target, members: int, generator: Callable[[int], torch.Generator]) -> Samples:
    """Draw members of the ensemble.

    The backward pass from each reported layer is drawn by itself: at every layer, (metric, z, NTK) have exactly the law of
    the network, but NTKs of different layers are independent given the forward pass, unlike those of one network.

    Parameters
    ----------
    target
        What to draw.
    members
        How many.
    generator
        Generator of each stream 0..L-1.
    """
    layers = forward(target, members, generator(FORWARD))
    ntks = [backward(layers[:layer], target.outputs, generator(layer - 1)) for layer in target.layers if target.ntk]
    reported = [layers[layer - 1] for layer in target.layers]
    return Samples(
        torch.stack([layer.metric.expand(members, -1, -1) for layer in reported], 1),
        torch.stack([layer.z[..., : target.outputs].mT.double() for layer in reported], 1),
        torch.stack(ntks, 1) if ntks else None,
    )


def forward(target: Target, members: int, generator: torch.Generator) -> list[Layer]:
    """Draw the layers 1, 2, ... up to the last reported one."""
    moment = target.first_moment
    layers = []
    for index in range(1, target.layers[-1] + 1):
        layer = _draw_layer(target, index, moment, members, generator)
        layers.append(layer)
        if layer.sigma is not None:
            moment = inner(layer.sigma, layer.sigma) / target.network.widths[index]
    return layers


def _draw_layer(target: Target, index: int, moment: Tensor, members: int, generator: torch.Generator) -> Layer:
    C_b, C_W, lambda_b, lambda_W = target.hyperparameters(index)
    metric = C_b + C_W * moment
    factor = covariance_factor(metric, tolerance(target.dtype))
    noise = normal_rows((members, metric.shape[-1], target.width(index)), target.dtype, generator)
    z = mix(factor.expand(members, -1, -1), noise)
    sigma, slope = _activate(target, z) if index in target.hidden else (None, None)
    inverse = generalized_inverse(factor) if target.ntk else None
    return Layer(C_b, C_W / target.network.widths[index - 1], lambda_b + lambda_W * moment, metric, inverse, z, sigma, slope)


def _activate(target: Target, z: Tensor) -> tuple[Tensor, Tensor | None]:
    activation = target.network.activation
    return activation.value_and_derivative(z) if target.ntk else (activation(z), None)


def backward(layers: list[Layer], outputs: int, generator: torch.Generator) -> Tensor:
    """NTK of the leading neurons of the last of ``layers``, summed over the parameters of all of them.

    H_ij;ab = sum over layers of (lambda_b + lambda_W/n sigma_a . sigma_b) Delta_ia . Delta_jb.

    Returns
    -------
    (members, output, output, N, N).
    """
    top = layers[-1]
    members, N, _ = top.z.shape
    # the cotangents at the top are the unit vectors of the neurons, whatever the input
    unit = torch.eye(outputs, dtype=torch.float64, device=top.z.device)
    cotangents = Cotangents(top.z[..., :outputs].double(), unit.expand(members, -1, -1))
    ntk = start_ntk(top.rate, outputs)
    for here, above in zip(layers[-2::-1], layers[:0:-1], strict=True):
        assert here.slope is not None
        v = _pull_back(here, above, cotangents, generator).view(members, outputs, -1, here.z.shape[-1])
        delta = (v * here.slope[:, None]).flatten(1, 2)
        cotangents = Cotangents(inner(here.z, delta), inner(delta, delta))
        ntk = ntk + here.rate[:, None, :, None, :] * cotangents.gram.view(members, outputs, N, outputs, N)
    return ntk.transpose(2, 3).expand(members, -1, -1, -1, -1)


def _pull_back(here: Layer, above: Layer, cotangents: Cotangents, generator: torch.Generator) -> Tensor:
    """Draw v = W^T Delta, (members, M, n), of the weights from ``here`` to ``above``."""
    assert here.sigma is not None
    assert above.inverse is not None
    overlap, gram = cotangents
    factor = covariance_factor(gram, tolerance(here.z.dtype))
    noise = normal_rows((len(gram), gram.shape[-1], here.z.shape[-1]), here.z.dtype, generator)
    prior = mix(math.sqrt(above.C_W) * factor, noise)
    residual = overlap - inner(here.sigma, prior)
    if above.C_b > 0.0:
        bias_noise = normal_rows((len(gram), gram.shape[-1], 1), here.z.dtype, generator)
        residual = residual - math.sqrt(above.C_b) * (factor @ bias_noise.double()).mT
    return mix((above.C_W * above.inverse @ residual).mT, here.sigma, add_to=prior)
