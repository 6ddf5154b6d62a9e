"""The sampled backward pass of the marginal sampler: the NTK of outputs, one member at a time of the ensemble."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.sampling import compiled
from rgflow.sampling.algebra import array, covariance_factor, few_rows, inner, mix, normal_rows, tolerance
from rgflow.sampling.forward import Forward, LayerLaw
from rgflow.sampling.hidden import Hidden
from rgflow.sampling.samples import start_ntk


class Cotangents(NamedTuple):
    """The cotangents Delta of a layer, in M rows: what the layer below needs to know of them.

    Attributes
    ----------
    overlap
        u . Delta (members, N, M).
    gram
        Delta . Delta (members, M, M).
    delta
        Delta itself (members, outputs, rows, n), needed with a skip connection only.
    """

    overlap: Tensor
    gram: Tensor
    delta: Tensor


def backward(passed: Forward, outputs: int, generator: torch.Generator) -> Tensor:
    """NTK of the ``outputs`` leading neurons of the last layer, summed over the parameters of all layers.

    H_ij;ab = sum over layers of (lambda_b + lambda_W/n sigma_a . sigma_b) Delta_ia . Delta_jb.

    Returns
    -------
    (members, output, output, N, N).
    """
    members, N, _ = passed.heads[-1].shape
    # the cotangents of the last layer are the unit vectors of the neurons, whatever the input
    unit = torch.eye(outputs, dtype=torch.float64, device=passed.heads[-1].device)
    cotangents = Cotangents(passed.heads[-1][..., :outputs].double(), unit.expand(members, -1, -1), unit[:, None])
    ntk = start_ntk(passed.laws[-1].rate, outputs)
    for hidden, law, above in zip(passed.hidden[::-1], passed.laws[-2::-1], passed.laws[:0:-1], strict=True):
        cotangents = cotangents_below(hidden, above, cotangents, outputs, passed.architecture.skip, generator)
        ntk = ntk + law.rate[:, None, :, None, :] * cotangents.gram.view(members, outputs, N, outputs, N)
    return ntk.transpose(2, 3).expand(members, -1, -1, -1, -1)


def cotangents_below(
    hidden: Hidden, above: LayerLaw, cotangents: Cotangents, outputs: int, skip: float, generator: torch.Generator
) -> Cotangents:
    """Those of a hidden layer, Delta = sigma' W^T Delta, given the law and the cotangents of the layer above.

    Of W it knows the forward pass. With white noise epsilon and e, and c c^T = Delta . Delta of the layer above,

        W^T Delta = sqrt(C_W/n) c epsilon + C_W/n A L^- sigma,
        A = Delta . u - L^- (sqrt(C_W/n) c epsilon . sigma + sqrt(C_b) c e).

    (L^-T L^- in one would lose the digits that cancel where inputs are nearly dependent.)
    """
    members, N, n = hidden.sigma.shape
    M, dtype = cotangents.gram.shape[1], hidden.sigma.dtype
    bias_noise = torch.zeros(members, M, dtype=dtype, device=hidden.sigma.device)
    if above.C_b > 0.0:
        bias_noise.normal_(generator=generator)
    noise = normal_rows((members, M, n), dtype, generator)
    if few_rows(hidden.sigma) and not skip:
        return _compiled_cotangents_below(hidden, above, cotangents, outputs, (noise, bias_noise))
    v = _pull_back(hidden.sigma, above, cotangents, (noise, bias_noise)).view(members, outputs, -1, n)
    delta = v.expand(-1, -1, N, -1).contiguous().mul_(hidden.slopes()[:, None])
    if skip:
        delta[..., : cotangents.delta.shape[-1]] += skip * cotangents.delta
    rows = delta.flatten(1, 2)
    return Cotangents(inner(hidden.noise, rows), inner(rows, rows), delta)


def _compiled_cotangents_below(
    hidden: Hidden, above: LayerLaw, cotangents: Cotangents, outputs: int, draws: tuple[Tensor, Tensor]
) -> Cotangents:
    members, N, _ = hidden.sigma.shape
    rows = outputs * N
    overlap, gram = (torch.empty(members, count, rows, dtype=torch.float64) for count in (N, rows))
    compiled.cotangents_below(
        hidden.arrays(),
        (array(draws[0]), array(draws[1])),
        (array(cotangents.overlap), array(cotangents.gram)),
        array(above.whitening),
        (above.C_b, above.C_W),
        tolerance(hidden.sigma.dtype),
        (overlap.numpy(), gram.numpy()),
    )
    return Cotangents(overlap, gram, cotangents.delta)


def _pull_back(sigma: Tensor, above: LayerLaw, cotangents: Cotangents, draws: tuple[Tensor, Tensor]) -> Tensor:
    """W^T Delta, (members, M, n)."""
    noise, bias_noise = draws
    factor = covariance_factor(cotangents.gram, tolerance(sigma.dtype))
    scale = math.sqrt(above.C_W) * factor
    bias = math.sqrt(above.C_b) * factor @ bias_noise[..., None].double()
    seen = cotangents.overlap.mT - (scale @ inner(noise, sigma) + bias) @ above.whitening.mT
    return mix(above.C_W * seen @ above.whitening, sigma, add_to=mix(scale, noise))
