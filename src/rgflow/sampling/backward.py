"""The sampled backward pass of the marginal sampler: the NTK of outputs, one member at a time of the ensemble."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, mix, normal_rows, products, tolerance
from rgflow.sampling.forward import Forward, Law
from rgflow.sampling.samples import start_ntk
from rgflow.sampling.tiles import Tile


class Cotangents(NamedTuple):
    """Inner products of the cotangents Delta of a layer, all that the layer below needs to know of them: u . Delta
    (members, N, M) and Delta . Delta (members, M, M)."""

    overlap: Tensor
    gram: Tensor


class WeightLaw(NamedTuple):
    """The law of v = W^T Delta given the forward pass: c epsilon + C_W/n (A - c (epsilon . sigma) L^-T) L^- sigma, with white
    noise epsilon. (L^-T L^- in one would lose the digits that cancel where inputs are nearly dependent.)

    Attributes
    ----------
    scale
        c (members, M, M), c c^T = C_W/n Delta . Delta, in the dtype of the noise.
    seen
        A (members, M, N): Delta . u, less what a draw of the biases gives to it.
    whitening
        L^- (members, N, N).
    weighted
        C_W/n L^-.
    """

    scale: Tensor
    seen: Tensor
    whitening: Tensor
    weighted: Tensor


def backward(passed: Forward, outputs: int, generator: torch.Generator) -> Tensor:
    """NTK of the ``outputs`` leading neurons of the last layer, summed over the parameters of all layers.

    H_ij;ab = sum over layers of (lambda_b + lambda_W/n sigma_a . sigma_b) Delta_ia . Delta_jb.

    Returns
    -------
    (members, output, output, N, N).
    """
    head = passed.heads[-1][..., :outputs].double()
    members, N, _ = head.shape
    # the cotangents of the last layer are the unit vectors of the neurons, whatever the input
    unit = torch.eye(outputs, dtype=torch.float64, device=head.device)
    cotangents, delta_above = Cotangents(head, unit.expand(members, -1, -1)), unit[:, None]
    ntk = start_ntk(passed.laws[-1].rate, outputs)
    for tiles, law, above in zip(passed.hidden[::-1], passed.laws[-2::-1], passed.laws[:0:-1], strict=True):
        weight_law, sums = _weight_law(above, cotangents, tiles[0].sigma.dtype, generator), []
        for tile, weights in zip(tiles, _split(weight_law, tiles), strict=True):
            v = _pull_back(tile.sigma, weights, generator).view(len(tile.sigma), outputs, -1, tile.sigma.shape[-1])
            delta = tile.times_slope(v.expand(-1, -1, N, -1).contiguous())
            if passed.xi_2:
                delta[..., : delta_above.shape[-1]] += passed.xi_2 * delta_above
                delta_above = delta
            rows = delta.flatten(1, 2)
            sums.append((products(tile.noise, rows), products(rows, rows)))
        cotangents = Cotangents(*(torch.cat(parts).double() for parts in zip(*sums, strict=True)))
        ntk = ntk + law.rate[:, None, :, None, :] * cotangents.gram.view(members, outputs, N, outputs, N)
    return ntk.transpose(2, 3).expand(members, -1, -1, -1, -1)


def _weight_law(law: Law, cotangents: Cotangents, dtype: torch.dtype, generator: torch.Generator) -> WeightLaw:
    overlap, gram = cotangents
    factor = covariance_factor(gram, tolerance(dtype))
    if law.C_b > 0.0:
        bias_noise = normal_rows((len(gram), gram.shape[-1], 1), dtype, generator).double()
        overlap = overlap - math.sqrt(law.C_b) * law.whitening @ (factor @ bias_noise).mT.expand_as(overlap)
    return WeightLaw((math.sqrt(law.C_W) * factor).to(dtype), overlap.mT, law.whitening, law.C_W * law.whitening)


def _split(weights: WeightLaw, tiles: list[Tile]) -> list[WeightLaw]:
    """The laws of the members of each tile."""
    sizes = [len(tile.sigma) for tile in tiles]
    return [WeightLaw(*parts) for parts in zip(*(torch.split(array, sizes) for array in weights), strict=True)]


def _pull_back(sigma: Tensor, weights: WeightLaw, generator: torch.Generator) -> Tensor:
    """Draw v = W^T Delta, (tile, M, n)."""
    noise = normal_rows((len(sigma), weights.scale.shape[-1], sigma.shape[-1]), sigma.dtype, generator)
    prior = torch.bmm(weights.scale, products(noise, sigma)).double()
    residual = torch.baddbmm(weights.seen, prior, weights.whitening.mT, alpha=-1)
    return mix(torch.bmm(residual, weights.weighted), sigma, add_to=mix(weights.scale, noise))
