"""The sampled backward pass of the marginal sampler: the NTK of outputs, one member at a time of the ensemble."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rgflow.sampling.algebra import covariance_factor, inner, mix, normal_rows, tolerance
from rgflow.sampling.forward import Forward, Law
from rgflow.sampling.samples import start_ntk


class Cotangents(NamedTuple):
    """Inner products of the cotangents Delta of a layer, all that the layer below needs to know of them: u . Delta
    (members, N, M) and Delta . Delta (members, M, M)."""

    overlap: Tensor
    gram: Tensor


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
    cotangents = Cotangents(head, unit.expand(members, -1, -1))
    delta_above = unit[:, None]
    ntk = start_ntk(passed.laws[-1].rate, outputs)
    for here, law, above in zip(passed.hidden[::-1], passed.laws[-2::-1], passed.laws[:0:-1], strict=True):
        v = _pull_back(here.sigma, above, cotangents, generator).view(members, outputs, -1, here.sigma.shape[-1])
        delta = v * here.slope[:, None]
        if passed.xi_2:
            delta[..., : delta_above.shape[-1]] += passed.xi_2 * delta_above
            delta_above = delta
        delta = delta.flatten(1, 2)
        cotangents = Cotangents(inner(here.noise, delta), inner(delta, delta))
        ntk = ntk + law.rate[:, None, :, None, :] * cotangents.gram.view(members, outputs, N, outputs, N)
    return ntk.transpose(2, 3).expand(members, -1, -1, -1, -1)


def _pull_back(sigma: Tensor, law: Law, cotangents: Cotangents, generator: torch.Generator) -> Tensor:
    """Draw v = W^T Delta, (members, M, n), of the weights that ``law`` is the law of."""
    overlap, gram = cotangents
    factor = covariance_factor(gram, tolerance(sigma.dtype))
    noise = normal_rows((len(gram), gram.shape[-1], sigma.shape[-1]), sigma.dtype, generator)
    prior = mix(math.sqrt(law.C_W) * factor, noise)
    seen = inner(sigma, prior)  # z . Delta of the prior draw
    if law.C_b > 0.0:
        bias_noise = normal_rows((len(gram), gram.shape[-1], 1), sigma.dtype, generator)
        seen = seen + math.sqrt(law.C_b) * (factor @ bias_noise.double()).mT
    residual = overlap - law.whitening @ seen
    return mix(law.C_W * residual.mT @ law.whitening, sigma, add_to=prior)
